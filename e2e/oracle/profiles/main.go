// profiles SEED NUMBER: prints generated profiles, one a line, those of e2e/oracle/filters, for the suite on nodes.
package main

import (
	"fmt"
	"os"
	"strconv"

	"callgate.dev/callgate/e2e/oracle/filters"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "profiles:", err)
		os.Exit(1)
	}
}

func run(words []string) error {
	if len(words) != 2 {
		return fmt.Errorf("usage: profiles SEED NUMBER")
	}
	seed, err := strconv.ParseUint(words[0], 10, 64)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(words[1])
	if err != nil {
		return err
	}
	return filters.Write(os.Stdout, seed, number)
}
