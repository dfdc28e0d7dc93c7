// rig does what the scripts of the cluster cannot: certificates, images, and
// asking a server over TLS. It needs nothing but Go's standard library.
package main

import (
	"fmt"
	"os"
)

const usage = `usage:
  rig identity DIR NAME=USER[,GROUP]...   certificates, and a kubeconfig for every NAME
  rig image OUT TAG BINARY [NAME...]      an image of one static binary
  rig ready CA URL                        returns when URL answers 200`

func main() {
	var command string
	var arguments []string
	if len(os.Args) > 1 {
		command, arguments = os.Args[1], os.Args[2:]
	}
	var err error
	switch {
	case command == "identity" && len(arguments) >= 1:
		err = identity(arguments[0], arguments[1:])
	case command == "image" && len(arguments) >= 3:
		err = image(arguments[0], arguments[1], arguments[2], arguments[3:])
	case command == "ready" && len(arguments) == 2:
		err = ready(arguments[0], arguments[1])
	default:
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "rig:", err)
		os.Exit(1)
	}
}
