package bpf

import "math/rand/v2"

type generator struct{ *rand.Rand }

func one[T any](it generator, of ...T) T { return of[it.IntN(len(of))] }

// The operations of seccomp, without returns and jumps.
var plain = []uint32{
	0x20, 0x20, 0x20, 0x80, 0x81, 0x00, 0x01, 0x60, 0x61, 0x02, 0x02, 0x03, 0x03, 0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c,
	0x34, 0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0xa4, 0xac, 0x84, 0x07, 0x87,
}

var jumps = []uint32{0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d}

// program makes one that the kernel takes in about every second case.
func (it generator) program() []instruction {
	length := 1 + it.IntN(10)
	program := make([]instruction, length)
	for at := range program {
		program[at] = it.instruction(length - at)
		if it.IntN(60) == 0 {
			program[at][0] = one(it, 0x94, 0x30, 0x28, 0x40, 0xb1, 0x0e, 0x13, uint32(it.IntN(1<<16)))
		}
	}
	if it.IntN(20) > 0 {
		program[length-1] = one(it, instruction{0x06, 0, 0, allow}, instruction{0x16})
	}
	return program
}

// instruction is one of those that are mostly valid with as many left.
func (it generator) instruction(left int) instruction {
	within := func() uint32 { return uint32(it.IntN(max(left, 1))) }
	switch it.IntN(8) {
	case 0:
		return instruction{0x05, 0, 0, one(it, within(), within(), 1<<32-1)}
	case 1, 2:
		return instruction{one(it, jumps...), within(), within(), it.value()}
	case 3:
		return instruction{one[uint32](it, 0x06, 0x16, 0x0e), 0, 0, allow}
	}
	made := instruction{one(it, plain...), 0, 0, it.value()}
	switch made[0] {
	case 0x20:
		made[3] = one[uint32](it, 0, 4, 8, 16, 20, 56, 60, 60, 62, 64, 1<<32-4)
	case 0x02, 0x03, 0x60, 0x61:
		made[3] = one[uint32](it, 0, 0, 0, 15, 16)
	case 0x64, 0x74:
		made[3] = one[uint32](it, 0, 1, 31, 31, 32, 1<<32-1)
	}
	return made
}

func (it generator) value() uint32 {
	return one(it, 0, 1, 2, 3, 31, 32, 33, 0xfff, 1<<31, 1<<32-1, it.Uint32())
}

// sound makes a valid program that returns an error.
func (it generator) sound() []instruction {
	length := 8 + it.IntN(40)
	// Every cell that is read has been written.
	program := []instruction{{0x02, 0, 0, 0}, {0x20, 0, 0, 16}, {0x02, 0, 0, 1}, {0x02, 0, 0, 15}}
	for at := range length {
		program = append(program, it.harmless(length-at))
	}
	return append(program, instruction{0x54, 0, 0, 0xfff}, instruction{0x44, 0, 0, errno}, instruction{0x16})
}

func (it generator) harmless(left int) instruction {
	within := func() uint32 { return uint32(it.IntN(min(left, 6))) }
	switch it.IntN(12) {
	case 0:
		return instruction{0x05, 0, 0, within()}
	case 1, 2, 3:
		return instruction{one(it, jumps...), within(), within(), it.value()}
	case 4:
		if it.IntN(6) == 0 {
			return instruction{0x06, 0, 0, errno | uint32(it.IntN(1<<12))}
		}
	}
	made := instruction{one(it, plain...), 0, 0, it.value()}
	switch made[0] {
	case 0x20:
		// Not the instruction pointer.
		made[3] = one[uint32](it, 0, 4, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60)
	case 0x02, 0x03, 0x60, 0x61:
		made[3] = one[uint32](it, 0, 1, 15)
	case 0x64, 0x74:
		made[3] = uint32(it.IntN(32))
	case 0x34:
		made[3] = max(made[3], 1)
	}
	return made
}

func (it generator) call() Data {
	call := Data{Number: number, Arch: x86_64}
	for at := range call.Args {
		call.Args[at] = uint64(it.value())<<32 | uint64(it.value())
	}
	return call
}
