package bpf

import (
	"os"
	"slices"
	"testing"

	"callgate.dev/callgate/e2e/oracle/ask"
	"callgate.dev/callgate/e2e/oracle/seed"
)

func TestMain(m *testing.M) {
	WorkIfAsked()
	os.Exit(m.Run())
}

func start(t *testing.T) (kernel, callgate *ask.Process) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	kernel = &ask.Process{Path: self, Env: []string{"BPF_WORKER=1", "GODEBUG=asyncpreemptoff=1"}}
	callgate = ask.Example("programs", "CALLGATE_PROGRAMS")
	t.Cleanup(kernel.Stop)
	t.Cleanup(callgate.Stop)
	return kernel, callgate
}

func put(t *testing.T, process *ask.Process, asked Question) Answer {
	t.Helper()
	var answered Answer
	ok, err := process.Ask(asked, &answered)
	if err != nil || !ok {
		t.Fatalf("%+v\n%s does not answer: %v (cargo build --examples makes ours)", asked, process.Path, err)
	}
	return answered
}

func TestProgramsAreValidThatTheKernelTakes(t *testing.T) {
	dice := generator{seed.Rand(t)}
	kernel, callgate := start(t)
	taken := map[bool]int{}
	for range 20_000 {
		asked := Question{Program: dice.program(), Data: []Data{}}
		theirs, ours := put(t, kernel, asked), put(t, callgate, asked)
		if (theirs.Invalid == "") != (ours.Invalid == "") {
			t.Fatalf("%v\nthe kernel says %q, callgate %q", asked.Program, theirs.Invalid, ours.Invalid)
		}
		taken[theirs.Invalid == ""]++
	}
	for _, length := range []int{0, 1, 4095, 4096, 4097} {
		asked := Question{Program: slices.Repeat([]instruction{{0x06, 0, 0, allow}}, length), Data: []Data{}}
		theirs, ours := put(t, kernel, asked), put(t, callgate, asked)
		if (theirs.Invalid == "") != (ours.Invalid == "") {
			t.Errorf("%d instructions: the kernel says %q, callgate %q", length, theirs.Invalid, ours.Invalid)
		}
	}
	t.Logf("%v", taken)
	if taken[true] < 2000 || taken[false] < 2000 {
		t.Error("that is too few of one kind")
	}
}

func TestEveryOperationIsPermittedThatTheKernelPermits(t *testing.T) {
	kernel, callgate := start(t)
	permitted := 0
	for code := range uint32(1 << 16) {
		if code >= 0x200 && code%257 != 0 {
			continue
		}
		// Cell 1 has been written, and 1 is no multiple of four.
		for _, value := range []uint32{1, 4} {
			asked := Question{Program: []instruction{{0x02, 0, 0, 1}, {0x02, 0, 0, 4}, {code, 0, 0, value}, {0x06}, {0x06}, {0x06}, {0x06}, {0x06}}, Data: []Data{}}
			theirs, ours := put(t, kernel, asked), put(t, callgate, asked)
			if (theirs.Invalid == "") != (ours.Invalid == "") {
				t.Errorf("operation %#x with %d: the kernel says %q, callgate %q", code, value, theirs.Invalid, ours.Invalid)
			}
			if theirs.Invalid == "" {
				permitted++
			}
		}
	}
	if permitted < 40 {
		t.Errorf("the kernel permits only %d", permitted)
	}
}

func TestProgramsReturnWhatTheyReturnInTheKernel(t *testing.T) {
	dice := generator{seed.Rand(t)}
	kernel, callgate := start(t)
	compared, killed, seen := 0, 0, map[uint32]bool{}
	for at := range 2000 {
		asked := Question{Program: dice.sound(), Load: Alone}
		for range 10 {
			asked.Data = append(asked.Data, dice.call())
		}
		ours := put(t, callgate, asked)
		if ours.Invalid != "" {
			t.Fatalf("%v\ncallgate says %q", asked.Program, ours.Invalid)
		}
		// A division by zero kills the thread.
		expected := ours.Returns
		if at := slices.Index(expected, 0); at >= 0 {
			expected = expected[:at+1]
			killed++
		}
		theirs := put(t, kernel, asked)
		if theirs.Invalid != "" || !slices.Equal(theirs.Returns, expected) {
			t.Fatalf("%v\n%v\nthe kernel returns %#x %s\ncallgate      %#x", asked.Program, asked.Data, theirs.Returns, theirs.Invalid, expected)
		}
		compared += len(expected)
		for _, value := range expected {
			seen[value] = true
		}
		if at%100 == 99 {
			// It keeps the memory of threads that were killed.
			kernel.Stop()
		}
	}
	t.Logf("%d calls, %d values, %d threads killed", compared, len(seen), killed)
	if compared < 10_000 || len(seen) < 500 || killed < 10 {
		t.Error("that is too few")
	}
}

func TestADivisionByZeroKillsTheThread(t *testing.T) {
	program := []instruction{{0x20, 0, 0, 56}, {0x07}, {0x00, 0, 0, 12}, {0x3c}, {0x44, 0, 0, errno}, {0x16}}
	kernel, callgate := start(t)
	for divisor, expected := range map[uint64]uint32{4: errno | 3, 0: 0} {
		asked := Question{Program: program, Load: Alone, Data: []Data{{number, x86_64, [6]uint64{0, 0, 0, 0, 0, divisor}}}}
		for name, process := range map[string]*ask.Process{"the kernel": kernel, "callgate": callgate} {
			if it := put(t, process, asked); !slices.Equal(it.Returns, []uint32{expected}) {
				t.Errorf("12 by %d: %s returns %#x %s", divisor, name, it.Returns, it.Invalid)
			}
		}
	}
}
