// Command worker loads programs and makes calls, also as a program of another architecture.
package main

import "callgate.dev/callgate/e2e/oracle/bpf"

func main() { bpf.WorkIfAsked() }
