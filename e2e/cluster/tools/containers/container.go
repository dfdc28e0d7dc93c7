package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// How long a container may take, far above what any takes that starts at all, also on a machine that is busy. A
// container whose main thread the kernel has killed is found without waiting for it (hung).
const patience = 20 * time.Second

// How often the processes of a container are looked at.
const pause = 50 * time.Millisecond

// container runs a container until its program has begun or never will.
func (it *node) container(name string, asked question) answer {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	made, err := it.runtime.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId: it.sandbox, SandboxConfig: it.config, Config: it.containerConfig(name, asked),
	})
	if err != nil {
		return answer{Deed: "refused", Why: err.Error()}
	}
	defer it.remove(made.ContainerId)
	began := make(chan answer, 1)
	go func() {
		_, err := it.runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: made.ContainerId})
		switch {
		case ctx.Err() != nil:
			began <- answer{Deed: "hangs", Why: "the start does not end"}
		case err != nil:
			began <- answer{Deed: "failed", Why: err.Error()}
		default:
			began <- it.outcome(ctx, made.ContainerId)
		}
	}()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	before := false
	for {
		select {
		case answer := <-began:
			return answer
		case <-tick.C:
			hung := it.hung(made.ContainerId)
			if hung && before {
				it.kill(made.ContainerId)
				<-began
				return answer{Deed: "hangs", Why: "the kernel has killed its main thread alone"}
			}
			before = hung
		}
	}
}

func (it *node) containerConfig(name string, asked question) *cri.ContainerConfig {
	return &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: name},
		Image:    &cri.ImageSpec{Image: "docker.io/library/busybox:1"},
		Command:  []string{theirs},
		Mounts:   []*cri.Mount{{ContainerPath: theirs, HostPath: ours, Readonly: true}},
		Linux: &cri.LinuxContainerConfig{
			SecurityContext: &cri.LinuxContainerSecurityContext{
				NoNewPrivs:       asked.NoNewPrivileges,
				NamespaceOptions: it.config.Linux.SecurityContext.NamespaceOptions,
				Seccomp: &cri.SecurityProfile{
					ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: asked.Profile,
				},
			},
		},
	}
}

// outcome waits until the program of a container that was started has begun, or the container has ended.
func (it *node) outcome(ctx context.Context, id string) answer {
	for {
		status, err := it.runtime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: id, Verbose: true})
		if err != nil {
			return answer{Deed: "hangs", Why: "the program does not begin"}
		}
		if status.Status.State == cri.ContainerState_CONTAINER_EXITED {
			return answer{Deed: "ended", Code: status.Status.ExitCode, Why: status.Status.Message}
		}
		var info struct{ Pid int }
		if err := json.Unmarshal([]byte(status.Info["info"]), &info); err != nil {
			return answer{Deed: "failed", Why: err.Error()}
		}
		fields := it.status(strconv.Itoa(info.Pid))
		if fields["Name"] == name {
			return answer{Deed: "runs", Seccomp: fields["Seccomp"]}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// status is /proc/PID/status, or that of a thread as PID/task/TID, of processes as the node sees them.
func (it *node) status(process string) map[string]string {
	text, _ := os.ReadFile(path.Join(it.root, "proc", process, "status"))
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(line, ":"); found {
			fields[key] = strings.TrimSpace(value)
		}
	}
	return fields
}

// remove ends a container and removes it. runc takes a process whose main thread is gone for one that has ended, and sends
// it no signal; so all are killed here. One whose start was given up may still be starting.
func (it *node) remove(id string) {
	var err error
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(pause) {
		it.kill(id)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, err = it.runtime.RemoveContainer(ctx, &cri.RemoveContainerRequest{ContainerId: id})
		cancel()
		if err == nil {
			return
		}
	}
	fmt.Fprintln(os.Stderr, "containers: cannot remove one:", err)
}
