package main

import (
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
)

// processes are those of a container.
func (it *node) processes(id string) []string {
	// Of cgroup version 1, and of version 2.
	for _, hierarchy := range []string{"pids", ""} {
		text, err := os.ReadFile(path.Join("/sys/fs/cgroup", hierarchy, it.cgroup, id, "cgroup.procs"))
		if err == nil {
			return strings.Fields(string(text))
		}
	}
	return nil
}

// hung reports whether a process of a container has lost its main thread and cannot end.
func (it *node) hung(id string) bool {
	for _, process := range it.processes(id) {
		if it.hungProcess(process) {
			return true
		}
	}
	return false
}

// hungProcess reports whether the main thread is dead while others sleep, none of which is about to be killed. SCMP_ACT_KILL
// kills one thread; runc has several, and its parent waits for the end of the process.
func (it *node) hungProcess(process string) bool {
	if !strings.HasPrefix(it.status(process)["State"], "Z") {
		return false
	}
	threads, err := os.ReadDir(path.Join(it.root, "proc", process, "task"))
	if err != nil || len(threads) < 2 {
		return false
	}
	for _, thread := range threads {
		fields := it.status(path.Join(process, "task", thread.Name()))
		pending, err := strconv.ParseUint(fields["SigPnd"], 16, 64)
		isMain := thread.Name() == process
		if !isMain && (err != nil || !strings.HasPrefix(fields["State"], "S") || pending>>(syscall.SIGKILL-1)&1 == 1) {
			return false
		}
	}
	return true
}

// kill ends all processes of a container.
func (it *node) kill(id string) {
	for _, process := range it.processes(id) {
		if number, err := strconv.Atoi(process); err == nil {
			_ = syscall.Kill(number, syscall.SIGKILL)
		}
	}
}
