// Package bpf compares callgate's classic BPF with the kernel: which programs seccomp takes, and what they return.
package bpf

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
	"unsafe"

	"callgate.dev/callgate/e2e/oracle/ask"
	"golang.org/x/sys/unix"
)

// An instruction is its code, its two jumps and its value.
type instruction [4]uint32

// A Question is a program, and calls with these arguments.
type Question struct {
	Program []instruction `json:"program"`
	Data    []Data        `json:"data"`
	// Whether to load the program, and make the calls.
	Load How `json:"load"`
}

// How is what happens with a program that is valid.
type How string

const (
	// Alone loads it for the call that does not exist.
	Alone How = "alone"
	// Guarded loads it for all calls, and before it one by which those with Guard as the last argument fail with
	// ENOSYS if the program lets them pass.
	Guarded How = "guarded"
	// Bare loads it for all calls, which are executed if it lets them pass.
	Bare How = "bare"
)

// Guard marks calls that are not executed.
const Guard = 0x600d

// Data is a call as a program sees it.
type Data struct {
	Number uint32    `json:"number"`
	Arch   uint32    `json:"arch"`
	Args   [6]uint64 `json:"args"`
}

// An Answer has, of a call that was executed, errno 0 or what it failed with.
type Answer struct {
	// Why the kernel rejects the program, or callgate.
	Invalid string   `json:"invalid"`
	Returns []uint32 `json:"returns"`
}

const (
	// No system call has this number.
	number = 9999
	x86_64 = 0xc000003e
	allow  = 0x7fff0000
	errno  = 0x50000
)

// A process whose first thread was killed still has that thread, so no program is loaded in it.
func init() {
	if os.Getenv("BPF_WORKER") != "" {
		runtime.LockOSThread()
	}
}

// WorkIfAsked is for the process of a worker.
func WorkIfAsked() {
	if os.Getenv("BPF_WORKER") == "" {
		return
	}
	if err := work(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// work answers one question a line, by the kernel.
func work(in io.Reader, out io.Writer) error {
	debug.SetGCPercent(-1)
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if err := divert(); err != nil {
		return err
	}
	return ask.Serve(in, out, answerOf)
}

// divert gives another thread a filter of its own. So a filter that is to be set in all threads is checked, and then
// not set.
func divert() error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		_, err := load([]instruction{{0x06, 0, 0, allow}}, 0)
		done <- err
		select {}
	}()
	return <-done
}

func load(program []instruction, flags uintptr) (uintptr, error) {
	raw := make([]unix.SockFilter, len(program))
	for at, it := range program {
		raw[at] = unix.SockFilter{Code: uint16(it[0]), Jt: uint8(it[1]), Jf: uint8(it[2]), K: it[3]}
	}
	prog := unix.SockFprog{Len: uint16(len(raw))}
	if len(raw) > 0 {
		prog.Filter = &raw[0]
	}
	result, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return 0, errno
	}
	return result, nil
}

func answerOf(asked Question) Answer {
	thread, err := load(asked.Program, unix.SECCOMP_FILTER_FLAG_TSYNC)
	if err != nil {
		return Answer{Invalid: err.Error()}
	}
	if thread == 0 {
		return Answer{Invalid: "the filter was set in all threads"}
	}
	if asked.Load == "" {
		return Answer{}
	}
	return run(asked)
}

// run loads the program in a thread of its own, which the program may kill; then it has returned 0. The thread makes no
// call that the program does not expect, so the two share memory alone. A process answers one question that is guarded
// or bare.
func run(asked Question) Answer {
	thread := make(chan int, 1)
	var failed atomic.Pointer[error]
	var done atomic.Int64
	returns := make([]uint32, len(asked.Data))
	go func() {
		runtime.LockOSThread()
		thread <- unix.Gettid()
		for _, program := range asked.programs() {
			if _, err := load(program, 0); err != nil {
				failed.Store(&err)
				select {}
			}
		}
		for at, it := range asked.Data {
			args := it.Args
			call := unix.RawSyscall6
			if asked.Load == Alone {
				// The scheduler must know of a call that does not come back.
				call = unix.Syscall6
			}
			result, _, code := call(uintptr(it.Number), uintptr(args[0]), uintptr(args[1]), uintptr(args[2]),
				uintptr(args[3]), uintptr(args[4]), uintptr(args[5]))
			if code == 0 && int(result) < 0 && int(result) >= -4095 {
				// Go takes -4095 for a result.
				code = unix.Errno(-int(result))
			}
			returns[at] = errno | uint32(code)
			done.Add(1)
		}
		// Otherwise the program decides about whatever the thread does to end.
		for asked.Load != Alone {
		}
	}()
	id := <-thread
	for {
		// The thread may end between the two looks.
		isGone := unix.Tgkill(unix.Getpid(), id, 0) == unix.ESRCH
		count := done.Load()
		switch {
		case failed.Load() != nil:
			return Answer{Invalid: (*failed.Load()).Error()}
		case int(count) == len(returns):
			return Answer{Returns: returns}
		case isGone:
			return Answer{Returns: append(returns[:count], 0)}
		}
		time.Sleep(time.Millisecond)
	}
}

func (it Question) programs() [][]instruction {
	switch it.Load {
	case Alone:
		head := []instruction{{0x20, 0, 0, 0}, {0x15, 1, 0, number}, {0x06, 0, 0, allow}, {0x00, 0, 0, 0}}
		return [][]instruction{append(head, it.Program...)}
	case Guarded:
		// The kernel takes the stricter result. Without a tracer, trace is ENOSYS.
		const lastArgument, trace = 56, 0x7ff00000
		guard := []instruction{{0x20, 0, 0, lastArgument}, {0x15, 0, 1, Guard}, {0x06, 0, 0, trace}, {0x06, 0, 0, allow}}
		return [][]instruction{guard, it.Program}
	}
	return [][]instruction{it.Program}
}
