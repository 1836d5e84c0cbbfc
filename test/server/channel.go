package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// channel is this end of SWAPINIT_CHANNEL_FD, or nil.
var channel *os.File

// note is one line of the channel.
type note struct {
	Swapinit string          `json:"swapinit"`
	Resource string          `json:"resource,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
}

// openChannel is called before anything else uses the channel.
func openChannel() {
	fd, err := strconv.Atoi(os.Getenv("SWAPINIT_CHANNEL_FD"))
	if err != nil {
		fatal("SWAPINIT_CHANNEL_FD: %v", err)
	}
	unix.CloseOnExec(fd)
	channel = os.NewFile(uintptr(fd), "channel")
}

func tell(n note) {
	text, err := json.Marshal(n)
	if err != nil {
		fatal("%v", err)
	}
	writeChannel(string(text) + "\n")
}

func writeChannel(text string) {
	if _, err := channel.WriteString(text); err != nil {
		fatal("cannot write to the channel: %v", err)
	}
}

// resources are addresses that the server binds by itself, when it is told to
// go, and gives up when it is told that somebody else wants them.
type resources struct {
	s     *server
	names []string

	mu   sync.Mutex
	open map[string]net.Listener
	once bool // it has had all of them
}

func newResources(s *server, list string) *resources {
	r := &resources{s: s, open: map[string]net.Listener{}}
	if list != "" {
		r.names = strings.Split(list, ",")
	}
	return r
}

// listenToChannel handles what swapinit says until it says nothing any more.
func (r *resources) listenToChannel() {
	in := bufio.NewScanner(channel)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var n note
		if err := json.Unmarshal(in.Bytes(), &n); err != nil {
			say("cannot read the channel: %v", err)
			continue
		}
		switch n.Swapinit {
		case "go":
			if !slices.Contains(r.names, n.Resource) {
				continue // asked for by a test, not by us
			}
			say("go %s", n.Resource)
			if r.s.opts.die == "go" {
				die(r.s.opts)
			}
			r.bind(n.Resource)
		case "takedown":
			say("takedown %s", n.Resource)
			r.release(n.Resource)
		case "message":
			say("message %s", n.Data)
		default:
			say("channel %s", in.Bytes())
		}
	}
	say("channel closed")
}

// want asks for all resources; deaf servers do not ask.
func (r *resources) want() {
	for _, name := range r.names {
		if r.s.opts.deaf {
			r.bind(name)
			continue
		}
		say("ready for %s", name)
		tell(note{Swapinit: "readyFor", Resource: name})
	}
}

func (r *resources) bind(name string) {
	l, err := net.Listen("tcp", name)
	if err != nil {
		fatal("cannot bind: %v", err)
	}
	r.mu.Lock()
	r.open[name] = l
	all := len(r.open) == len(r.names) && !r.once
	r.once = r.once || all
	r.mu.Unlock()
	say("bound %s", name)
	r.s.serve(l)
	if all {
		say("ready")
		tellReady(r.s.opts.ready)
	}
}

func (r *resources) release(name string) {
	switch r.s.opts.takedown {
	case "ignore":
		return
	case "exit":
		say("done")
		os.Exit(0)
	}
	r.mu.Lock()
	l := r.open[name]
	delete(r.open, name)
	r.mu.Unlock()
	if l != nil {
		_ = l.Close()
	}
	say("released %s", name)
	tell(note{Swapinit: "released", Resource: name})
}

// flood writes megabytes of each kind of rubbish to the channel.
func flood(arg string) error {
	size, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	for _, piece := range []string{
		"x", // one endless line
		"\n", "{}\n", "nonsense\n", "{\"swapinit\":\"ready\"}\n", "\x00\xff\n",
		"{\"swapinit\":\"readyFor\",\"resource\":\"" + strings.Repeat("r", 200) + "\"}\n",
		strings.Repeat("[", 60000) + "\n",
		"{\"a\":\"" + strings.Repeat("y", 100000) + "\"}\n",
	} {
		block := strings.Repeat(piece, max(1, (64<<10)/len(piece)))
		total := size << 20
		if piece == "x" {
			total *= 8
		}
		for n := 0; n < total; n += len(block) {
			if _, err := channel.WriteString(block); err != nil {
				return fmt.Errorf("cannot flood: %w", err)
			}
		}
	}
	return nil
}
