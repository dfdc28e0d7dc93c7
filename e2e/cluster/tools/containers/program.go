package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"runtime"
)

// The name of the program in its process, by which it is told from runc's.
const name = "spin"

// program is an executable that makes no system call, so that no profile can keep it from running, and does not end: one
// instruction, which jumps to itself.
func program() []byte {
	code, machine := []byte{0xeb, 0xfe}, elf.EM_X86_64
	if runtime.GOARCH == "arm64" {
		code, machine = []byte{0x00, 0x00, 0x00, 0x14}, elf.EM_AARCH64
	}
	const address, page = 0x400000, 0x10000
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Phnum: 1,
	}
	segment := elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: address, Align: page}
	size := binary.Size(header) + binary.Size(segment)
	header.Ehsize, header.Phoff, header.Phentsize = uint16(binary.Size(header)), uint64(binary.Size(header)), uint16(binary.Size(segment))
	header.Entry = address + uint64(size)
	segment.Filesz = uint64(size + len(code))
	segment.Memsz = segment.Filesz
	var file bytes.Buffer
	for _, part := range []any{header, segment, code} {
		// Writing to memory does not fail.
		_ = binary.Write(&file, binary.LittleEndian, part)
	}
	return file.Bytes()
}
