//go:build cgo && seccomp

package filters

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A trap takes the filters that the thread loads from now on instead of the
// kernel: the caller gets a success, but no filter is in force.
type trap struct {
	listener int
	program  chan []bpf.RawInstruction
}

// The structures of the kernel's include/uapi/linux/seccomp.h.
type notification struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

type response struct {
	id    uint64
	val   int64
	error int32
	flags uint32
}

// setTrap is for a thread that is locked. Nothing may wait for the thread while
// it waits for the trap, so there is no collection of garbage.
func setTrap() (*trap, error) {
	debug.SetGCPercent(-1)
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("no_new_privs: %w", err)
	}
	const call, first, third, thirdHigh = 0, 16, 32, 36
	load := func(at uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: at, Size: 4} }
	program, err := bpf.Assemble([]bpf.Instruction{
		load(call),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_PRCTL, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_SECCOMP, SkipFalse: 8},
		load(first),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SECCOMP_SET_MODE_FILTER, SkipTrue: 2, SkipFalse: 6},
		load(first),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PR_SET_SECCOMP, SkipFalse: 4},
		// libseccomp asks without a program which flags there are.
		load(third),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 3},
		load(thirdHigh),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 1},
		bpf.RetConstant{Val: allow},
		bpf.RetConstant{Val: notify},
	})
	if err != nil {
		return nil, err
	}
	listener, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&unix.SockFprog{
			Len:    uint16(len(program)),
			Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0])),
		})))
	if errno != 0 {
		return nil, fmt.Errorf("seccomp: %w", errno)
	}
	it := &trap{int(listener), make(chan []bpf.RawInstruction, 1)}
	go it.serve()
	return it, nil
}

func (it *trap) serve() {
	for {
		var asked notification
		if err := it.control(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&asked)); err != nil {
			if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOENT) {
				continue
			}
			panic(err)
		}
		program, err := readProgram(asked.args[2])
		if err != nil {
			panic(err)
		}
		select {
		case <-it.program:
		default:
		}
		it.program <- program
		answer := response{id: asked.id}
		if err := it.control(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&answer)); err != nil && !errors.Is(err, unix.ENOENT) {
			panic(err)
		}
	}
}

func (it *trap) control(request uint, argument unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(it.listener), uintptr(request), uintptr(argument))
	if errno != 0 {
		return errno
	}
	return nil
}

// readProgram reads a struct sock_fprog of this process.
func readProgram(address uint64) ([]bpf.RawInstruction, error) {
	head := make([]byte, 16)
	if err := readMemory(address, head); err != nil {
		return nil, err
	}
	length := binary.NativeEndian.Uint16(head)
	body := make([]byte, int(length)*8)
	if err := readMemory(binary.NativeEndian.Uint64(head[8:]), body); err != nil {
		return nil, err
	}
	program := make([]bpf.RawInstruction, length)
	for at := range program {
		it := body[at*8:]
		program[at] = bpf.RawInstruction{
			Op: binary.NativeEndian.Uint16(it), Jt: it[2], Jf: it[3], K: binary.NativeEndian.Uint32(it[4:]),
		}
	}
	return program, nil
}

func readMemory(address uint64, into []byte) error {
	local := []unix.Iovec{{Base: &into[0], Len: uint64(len(into))}}
	remote := []unix.RemoteIovec{{Base: uintptr(address), Len: len(into)}}
	n, err := unix.ProcessVMReadv(unix.Getpid(), local, remote, 0)
	if err == nil && n != len(into) {
		err = fmt.Errorf("%d of %d bytes were read", n, len(into))
	}
	return err
}
