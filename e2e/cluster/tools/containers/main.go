// containers NODE CGROUP: runs a container under each of many seccomp profiles, through the container runtime interface of
// a node, and reports what becomes of it. The kubelet of the node must not run: it removes what is not its own.
//
// NODE is the root directory of the node as this process sees it, such as /proc/PID/root, and CGROUP the cgroup for the
// containers. Standard input is a list of questions in JSON, standard output gets the list of answers.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A question is a profile for a container.
type question struct {
	// Its file on the node.
	Profile string `json:"profile"`
	// What the kubelet makes of `allowPrivilegeEscalation: false`.
	NoNewPrivileges bool `json:"noNewPrivileges"`
}

// An answer is what has become of the container.
type answer struct {
	// refused: containerd did not create the container
	// failed:  runc did not start it
	// ended:   it was started, and ended before its program began
	// hangs:   it neither starts nor ends
	// runs:    its program has begun
	Deed string `json:"deed"`
	// The error of the runtime, or why it hangs.
	Why string `json:"why"`
	// The exit code, if it ended.
	Code int32 `json:"code"`
	// `Seccomp:` in its /proc/PID/status, if it runs.
	Seccomp string `json:"seccomp"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: containers NODE CGROUP <QUESTIONS >ANSWERS")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "containers:", err)
		os.Exit(1)
	}
}

func run(root, cgroup string, in io.Reader, out io.Writer) error {
	var questions []question
	if err := json.NewDecoder(in).Decode(&questions); err != nil {
		return err
	}
	node, err := enter(root, cgroup)
	if err != nil {
		return err
	}
	answers := make([]answer, len(questions))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.NumCPU() {
		workers.Go(func() {
			for at := range next {
				answers[at] = node.container(fmt.Sprint("container-", at), questions[at])
			}
		})
	}
	for at := range questions {
		next <- at
	}
	close(next)
	workers.Wait()
	if err := node.leave(); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(answers)
}

// A node is one with a sandbox for all containers.
type node struct {
	runtime      cri.RuntimeServiceClient
	root, cgroup string
	config       *cri.PodSandboxConfig
	sandbox      string
}

// Where the program of the containers lies on the node, and in them.
const ours, theirs = "/run/callgate-spin", "/" + name

func enter(root, cgroup string) (*node, error) {
	socket := path.Join(root, "run/containerd/containerd.sock")
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path.Join(root, ours), program(), 0o755); err != nil {
		return nil, err
	}
	config := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: "profiles", Namespace: "default", Uid: "profiles"},
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent: cgroup,
			SecurityContext: &cri.LinuxSandboxSecurityContext{
				NamespaceOptions: &cri.NamespaceOption{Network: cri.NamespaceMode_NODE, Pid: cri.NamespaceMode_CONTAINER},
			},
		},
	}
	client := cri.NewRuntimeServiceClient(connection)
	made, err := client.RunPodSandbox(context.Background(), &cri.RunPodSandboxRequest{Config: config})
	if err != nil {
		return nil, err
	}
	return &node{client, root, cgroup, config, made.PodSandboxId}, nil
}

func (it *node) leave() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := it.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: it.sandbox})
	return err
}
