// Package bpf compares callgate's classic BPF with the kernel: which programs seccomp takes, and what they return.
package bpf

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"time"
	"unsafe"

	"callgate.dev/callgate/e2e/oracle/ask"
	"golang.org/x/sys/unix"
)

// An instruction is its code, its two jumps and its value.
type instruction [4]uint32

// A question is a program, and calls with these arguments.
type question struct {
	Program []instruction `json:"program"`
	Data    []data        `json:"data"`
	// Whether to load the program, and make the calls.
	Load bool `json:"load"`
}

// data is a call as a program sees it.
type data struct {
	Number uint32    `json:"number"`
	Arch   uint32    `json:"arch"`
	Args   [6]uint64 `json:"args"`
}

type answer struct {
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

func workIfAsked() {
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
	runtime.LockOSThread()
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

func answerOf(asked question) answer {
	thread, err := load(asked.Program, unix.SECCOMP_FILTER_FLAG_TSYNC)
	if err != nil {
		return answer{Invalid: err.Error()}
	}
	if thread == 0 {
		return answer{Invalid: "the filter was set in all threads"}
	}
	if !asked.Load {
		return answer{}
	}
	return run(asked)
}

// run loads the program in a thread of its own, which the program may kill; then it has returned 0.
func run(asked question) answer {
	thread, failed, returns := make(chan int, 1), make(chan error, 1), make(chan uint32)
	go func() {
		defer close(returns)
		runtime.LockOSThread()
		thread <- unix.Gettid()
		// For this call alone.
		head := []instruction{{0x20, 0, 0, 0}, {0x15, 1, 0, number}, {0x06, 0, 0, allow}, {0x00, 0, 0, 0}}
		_, err := load(append(head, asked.Program...), 0)
		failed <- err
		for _, it := range asked.Data {
			args := it.Args
			// The scheduler must know of a call that does not come back.
			result, _, code := unix.Syscall6(number, uintptr(args[0]), uintptr(args[1]), uintptr(args[2]),
				uintptr(args[3]), uintptr(args[4]), uintptr(args[5]))
			if code == 0 {
				// Go takes -4095 for a result.
				code = unix.Errno(-result)
			}
			returns <- errno | uint32(code)
		}
	}()
	id := <-thread
	if err := <-failed; err != nil {
		return answer{Invalid: err.Error()}
	}
	var all []uint32
	for {
		select {
		case value, open := <-returns:
			if !open {
				return answer{Returns: all}
			}
			all = append(all, value)
		case <-time.After(time.Millisecond):
			if unix.Tgkill(unix.Getpid(), id, 0) == unix.ESRCH {
				return answer{Returns: append(all, 0)}
			}
		}
	}
}
