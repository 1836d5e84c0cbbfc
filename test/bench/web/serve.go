package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What the environment says about a server; swapinit and start_server add
// theirs.
const (
	envReport   = "BENCH_REPORT"    // a Unix socket of the bench: see report
	envGraceful = "BENCH_GRACEFUL"  // 1: TERM ends it as http.Server.Shutdown does; else as TERM ends any process
	envWork     = "BENCH_WORK"      // how long an answer takes
	envReady    = "BENCH_READY_FD"  // a byte there: ready
	envAddress  = "BENCH_ADDRESS"   // of a crowd: where to; address by default
	envOwn      = "BENCH_REUSEPORT" // 1: a socket of its own with SO_REUSEPORT
	envPlain    = "BENCH_PLAIN"     // 1: a server that knows nothing: binds for itself, and does not say that it is ready
)

// body is what every request is answered.
const body = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n"

// serve is one generation. Its socket is its own or was given to it.
func serve() error {
	l, err := listener()
	if err != nil {
		return err
	}
	work, err := time.ParseDuration(os.Getenv(envWork))
	if err != nil {
		return err
	}
	s := &http.Server{Handler: worker(work)}
	ended := make(chan struct{})
	if os.Getenv(envGraceful) == "1" {
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		go func() {
			<-term
			_ = s.Shutdown(context.Background()) // no deadline: the supervisor has one
			close(ended)
		}()
	}
	if _, err := report(); err != nil {
		return err
	}
	if os.Getenv(envPlain) != "1" {
		if err := ready(); err != nil {
			return err
		}
	}
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-ended
	return nil
}

// worker answers after some work, or what stands for it.
func worker(work time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if work > 0 {
			<-time.After(work)
		}
		_, _ = w.Write([]byte(body)) // a client that has gone away has counted that itself
	})
}

// report tells the bench that a server is there. The connection stays open for
// as long as the process lives, however it ends.
func report() (net.Conn, error) {
	c, err := net.Dial("unix", os.Getenv(envReport))
	if err != nil {
		return nil, err
	}
	_, err = c.Write([]byte{'R'})
	alive = c
	return c, err
}

// alive keeps the connection from the garbage collector.
var alive net.Conn

// ready tells the supervisor. start_server wants to hear nothing.
func ready() error {
	for _, name := range []string{"SWAPINIT_READY_FD", envReady} {
		if os.Getenv(name) == "" {
			continue
		}
		fd, err := strconv.Atoi(os.Getenv(name))
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(fd), "ready")
		if _, err := f.WriteString("\n"); err != nil {
			return err
		}
		return f.Close()
	}
	return nil
}

func listener() (net.Listener, error) {
	if os.Getenv(envPlain) == "1" {
		return net.Listen("tcp", ":"+port)
	}
	if os.Getenv(envOwn) == "1" {
		var failed error
		c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
			err := raw.Control(func(fd uintptr) {
				failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			})
			return errors.Join(err, failed)
		}}
		return c.Listen(context.Background(), "tcp4", address)
	}
	fd, err := given()
	if err != nil {
		return nil, err
	}
	return net.FileListener(os.NewFile(uintptr(fd), "listener"))
}

// given is the descriptor that a supervisor has announced.
func given() (int, error) {
	if os.Getenv("LISTEN_FDS") == "1" {
		return 3, nil
	}
	if _, fd, ok := strings.Cut(os.Getenv("SERVER_STARTER_PORT"), "="); ok {
		return strconv.Atoi(fd)
	}
	return 0, errors.New("no socket was given to it")
}
