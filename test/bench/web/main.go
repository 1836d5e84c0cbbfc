// Command web is what the benchmarks of the swap run in a container: the server
// that is swapped, the load on it, and the supervisors that cannot be
// installed.
//
//	web serve                     an HTTP server: see serve
//	web accept                    connects to itself: see accept
//	web calls                     times system calls: see calls
//	web load CLIENTS              clients that are told what to do: see load
//	web trace N                   N requests a second at fixed times: see trace
//	web keep CLIENTS              the same clients on kept connections
//	web crowd N                   holds N idle connections until its stdin ends
//	web look N                    times the drain's look at N connections
//	web reuseport SIGNAL command  a supervisor: see reuseport
//	web restart SIGNAL command    a supervisor: see restart
//	web nginx PATH CONF SOCKET    nginx with a server behind it: see nginx
//
// All of them use one address, see address.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// address is where the server in the container is reached.
const (
	address = "127.0.0.1:" + port
	port    = "18080"
)

func main() {
	mode, args := "", []string(nil)
	if len(os.Args) > 1 {
		mode, args = os.Args[1], os.Args[2:]
	}
	var err error
	switch {
	case mode == "serve" && len(args) == 0:
		err = serve()
	case mode == "accept" && len(args) == 0:
		err = accept()
	case mode == "calls" && len(args) == 0:
		err = calls()
	case mode == "keep" && len(args) == 1:
		err = withNumber(args[0], keep)
	case mode == "load" && len(args) == 1:
		err = withNumber(args[0], load)
	case mode == "trace" && len(args) == 1:
		err = withNumber(args[0], trace)
	case mode == "crowd" && len(args) == 1:
		err = withNumber(args[0], crowd)
	case mode == "look" && len(args) == 1:
		err = withNumber(args[0], look)
	case mode == "reuseport" && len(args) > 1:
		err = reuseport(args[0], args[1:])
	case mode == "restart" && len(args) > 1:
		err = restart(args[0], args[1:])
	case mode == "nginx" && len(args) == 3:
		err = nginx(args[0], args[1], args[2])
	default:
		err = errors.New("unknown mode")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "web %s: %v\n", mode, err)
		os.Exit(99)
	}
}

func withNumber(s string, do func(int) error) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1<<20 {
		return fmt.Errorf("%q is no number of clients", s)
	}
	return do(n)
}
