package main

import (
	"encoding/binary"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// What server writes to stdout: a kind, then a time.
const (
	saysReady = 'R' // just before the newline on the readiness pipe
	saysTerm  = 'T' // TERM has arrived; it ends
)

// server holds the sockets that it was given, is ready at once, and ends at
// TERM.
func server() error {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	fd, err := strconv.Atoi(os.Getenv("SWAPINIT_READY_FD"))
	if err != nil {
		return err
	}
	t := now()
	if _, err := unix.Write(fd, []byte("\n")); err != nil {
		return err
	}
	if err := say(saysReady, t); err != nil {
		return err
	}
	<-term
	return say(saysTerm, now())
}

func say(kind byte, t int64) error {
	_, err := unix.Write(1, binary.LittleEndian.AppendUint64([]byte{kind}, uint64(t)))
	return err
}
