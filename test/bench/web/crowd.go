package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// dialing is how many connections of a crowd are made at a time.
const dialing = 64

// crowd makes n connections, each of which gets one answer and is then idle,
// says so by a line on stdout, and holds them until its stdin ends.
func crowd(n int) error {
	to := os.Getenv(envAddress)
	if to == "" {
		to = address
	}
	var at atomic.Int64
	var all sync.WaitGroup
	failed := make(chan error, dialing)
	for range dialing {
		all.Go(func() {
			for i := int(at.Add(1)); i <= n; i = int(at.Add(1)) {
				if err := visit(to, i); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	fmt.Println("there")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// visit leaves its connection open; this process's end closes it.
func visit(to string, i int) error {
	c, err := dial(to, i%1000)
	if err != nil {
		return err
	}
	crowded.Store(i, c)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
		return err
	}
	return answer(bufio.NewReaderSize(c, 512))
}

// crowded keeps the connections from the garbage collector.
var crowded sync.Map
