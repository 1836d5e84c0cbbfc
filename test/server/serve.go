package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// idleGrace is how long the finishing server waits for one more request on a
// quiet connection: it would rather answer it with "Connection: close" than
// close the connection under a request that is on its way.
const idleGrace = 2 * time.Second

// server is the HTTP server together with what it needs to stop well.
type server struct {
	opts      options
	http      *http.Server
	sockets   []socket
	listeners []net.Listener
	draining  atomic.Bool
	done      sync.WaitGroup // the Serve calls

	mu   sync.Mutex
	open map[net.Conn]time.Time // open connections, and since when they are idle (zero: not)
}

func newServer(o options) *server {
	s := &server{opts: o, open: map[net.Conn]time.Time{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.root)
	mux.HandleFunc("/echo", s.echo)
	mux.HandleFunc("/health", s.health)
	mux.HandleFunc("/state", s.state)
	mux.HandleFunc("/do", s.do)
	mux.HandleFunc("/peer", s.peer)
	s.http = &http.Server{Handler: mux, ConnState: s.track, ConnContext: withDomain}
	return s
}

// listen starts to serve every stream socket, answers datagrams on the others,
// and opens the side port.
func (s *server) listen(sockets []socket) {
	s.sockets = sockets
	for _, sock := range sockets {
		l, err := net.FileListener(sock.file)
		if err != nil {
			packets, perr := net.FilePacketConn(sock.file)
			if perr != nil {
				fatal("cannot listen on %s: %v", sock.name, err)
			}
			go s.datagrams(packets)
			continue
		}
		s.serve(s.gate(l))
	}
	if s.opts.reuseport != "" {
		own, err := ownSockets(s.opts.reuseport)
		if err != nil {
			fatal("cannot listen: %v", err)
		}
		for _, l := range own {
			s.serve(l)
		}
	}
	if s.opts.side != "" {
		if s.opts.sideGate != "" {
			awaitFile(s.opts.sideGate)
		}
		l, err := net.Listen("tcp", s.opts.side)
		if err != nil {
			fatal("cannot listen: %v", err)
		}
		s.serve(l)
	}
}

// gate holds back what -accept-gate says.
func (s *server) gate(l net.Listener) net.Listener {
	if s.opts.acceptGate != "" {
		l = gated{l, s.opts.acceptGate}
	}
	return l
}

func (s *server) serve(l net.Listener) {
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	s.done.Add(1)
	go func() {
		defer s.done.Done()
		if err := s.http.Serve(l); !s.draining.Load() {
			say("no longer serves: %v", err) // in a test that wants it, or by a fault
		}
	}()
}

func (s *server) datagrams(packets net.PacketConn) {
	buf := make([]byte, 2048)
	for {
		_, from, err := packets.ReadFrom(buf)
		if err != nil {
			return
		}
		if _, err := packets.WriteTo([]byte(s.text()), from); err != nil {
			say("cannot answer a datagram: %v", err)
		}
	}
}

// run handles signals until one ends the server.
func (s *server) run(signals <-chan os.Signal) {
	stops := strings.Split(s.opts.on, ",")
	for sig := range signals {
		name := signalName(sig)
		say("got %s", name)
		if !slices.Contains(stops, name) {
			continue
		}
		switch s.opts.stop {
		case "ignore":
		case "exit":
			os.Exit(s.opts.status)
		case "shutdown":
			go s.leave(func() { _ = s.http.Shutdown(context.Background()) })
		case "shut":
			go s.leave(func() { s.shut(); s.finish() })
		case "finish":
			go s.leave(s.finish)
		default:
			fatal("unknown -stop %q", s.opts.stop)
		}
	}
}

// leave drains once, however often the stop signal came, and exits.
func (s *server) leave(drain func()) {
	if s.draining.Swap(true) {
		return
	}
	drain()
	say("done")
	os.Exit(s.opts.status)
}

// finish loses nothing: it stops accepting, answers everything that was
// accepted (also what it has not read yet), tells each client to come back on
// a new connection, and is done when the last connection is closed.
// http.Server.Shutdown is not enough: it closes accepted connections whose
// first request it has not read.
func (s *server) finish() {
	_ = s.closeListeners()
	s.done.Wait()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for now := range tick.C {
		if s.busy(now) == 0 {
			return
		}
	}
}

func (s *server) closeListeners() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, l := range s.listeners {
		err = errors.Join(err, l.Close())
	}
	s.listeners = nil
	return err
}

// shut does to the listeners what Ruby's TCPServer#shutdown does.
func (s *server) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		if g, ok := l.(gated); ok {
			l = g.Listener
		}
		if raw, err := l.(syscall.Conn).SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
		}
	}
}

// busy counts the open connections, and closes those that are idle for longer
// than the grace.
func (s *server) busy(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn, idle := range s.open {
		if !idle.IsZero() && now.Sub(idle) > idleGrace {
			_ = conn.Close()
			delete(s.open, conn)
		}
	}
	return len(s.open)
}

func (s *server) track(conn net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew, http.StateIdle:
		s.open[conn] = time.Now()
	case http.StateActive:
		s.open[conn] = time.Time{}
	case http.StateClosed, http.StateHijacked:
		delete(s.open, conn)
	}
}

func (s *server) text() string {
	text := "generation " + os.Getenv("SWAPINIT_GENERATION")
	if s.opts.worker {
		text += " worker " + os.Getenv("SWAPINIT_WORKER")
	}
	if s.opts.say != "" {
		text += " " + s.opts.say
	}
	return text + "\n"
}

// header tells the client of a draining server to use another connection.
func (s *server) header(w http.ResponseWriter) {
	if s.draining.Load() {
		w.Header().Set("Connection", "close")
	}
}

func (s *server) root(w http.ResponseWriter, _ *http.Request) {
	if s.opts.work > 0 {
		<-time.After(s.opts.work)
	}
	s.header(w)
	fmt.Fprint(w, s.text())
}

type domainKey struct{}

// withDomain notes the address family of a connection's socket.
func withDomain(ctx context.Context, conn net.Conn) context.Context {
	text := "none"
	if c, ok := conn.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { text = domain(int(fd)) })
		}
	}
	return context.WithValue(ctx, domainKey{}, text)
}

// peer answers with what the server sees of its client.
func (s *server) peer(w http.ResponseWriter, r *http.Request) {
	s.header(w)
	fmt.Fprintf(w, "%v %s\n", r.Context().Value(domainKey{}), r.RemoteAddr)
}

// health is what a readiness probe asks for.
func (s *server) health(w http.ResponseWriter, _ *http.Request) {
	s.header(w)
	if s.opts.health != "" {
		if _, err := os.Stat(s.opts.health); err != nil {
			say("not healthy")
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
	}
	say("healthy")
	fmt.Fprint(w, s.text())
}

// echo answers when the client has finished its body: a request that lasts as
// long as the client wants.
func (s *server) echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		say("echo: %v", err)
		return
	}
	s.header(w)
	fmt.Fprintf(w, "%s%s", s.text(), body)
}

func (s *server) state(w http.ResponseWriter, _ *http.Request) {
	s.header(w)
	w.Write(stateJSON())
}

// do performs one act of misbehaviour: /do?act=exit&arg=3.
func (s *server) do(w http.ResponseWriter, r *http.Request) {
	act, arg := r.FormValue("act"), r.FormValue("arg")
	say("does %s %s", act, arg)
	var err error
	switch act {
	case "exit":
		status, _ := strconv.Atoi(arg)
		os.Exit(status)
	case "kill":
		killSelf(arg)
	case "drop": // closes its copy of every listener
		err = s.closeListeners()
		closeAll(s.sockets)
	case "shutdown": // shutdown(2) reaches every holder of the socket
		for _, sock := range s.sockets {
			err = syscall.Shutdown(int(sock.file.Fd()), syscall.SHUT_RDWR)
		}
	case "attach", "detach": // the program of the group that its sockets are in
		for _, sock := range s.sockets {
			err = program(int(sock.file.Fd()), act)
		}
	case "unlink":
		err = os.Remove(arg)
	case "rebind": // what a careless server does to a stale unix path
		_ = os.Remove(arg)
		var l net.Listener
		if l, err = net.Listen("unix", arg); err == nil {
			s.serve(l)
		} else if errors.Is(err, syscall.EADDRINUSE) {
			err = nil // the path is back already
		}
	case "notify":
		notify(arg)
	case "barrier":
		err = barrier()
	case "channel":
		writeChannel(arg)
	case "flood":
		err = flood(arg)
	case "bind":
		var o own
		if o, err = parseOwn(arg); err == nil {
			err = s.bindAndServe(o)
		}
		if err != nil { // which is an answer, too
			s.header(w)
			fmt.Fprintln(w, err)
			return
		}
	case "hostile":
		err = hostile(arg)
	case "stray":
		err = spawnStray(s.opts, s.sockets)
	default:
		err = fmt.Errorf("unknown act %q", act)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.header(w)
	fmt.Fprintln(w, "ok")
}
