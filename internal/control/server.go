package control

import (
	"os"
	"strconv"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/lines"
	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

// limits are the server's times. None of them is ever spent by the init's loop.
type limits struct {
	first time.Duration // from the connection to its first request
	next  time.Duration // from a reply to the next request
	reply time.Duration // for a client to take its reply
	close time.Duration // for replies under way when the server closes
}

var usual = limits{first: 10 * time.Second, next: 60 * time.Second, reply: 30 * time.Second, close: time.Second}

const (
	logEvery    = 10 * time.Second // between log lines of one kind
	acceptPause = 100 * time.Millisecond
	roomTime    = time.Second // for clients that have hung up to be gone
)

// Peer is the process at the other end (unix(7), SO_PEERCRED), as it was when it
// connected.
type Peer struct {
	Pid int // 0: in a pid namespace that is not below ours
	Uid uint32
}

// Serve starts the accept loop in a goroutine and returns. handle is called for
// each valid request, in the goroutine of its client, and must not block: it
// passes the Call to the loop, which answers it. logf gets lines about clients
// that were turned away; it is called from the accept loop. Call Serve once.
func (s *Server) Serve(handle func(*Call), logf func(string)) {
	s.handle, s.logf = handle, logf
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing() {
		return
	}
	s.wg.Add(1)
	go s.accept()
}

// Close stops listening, unlinks its path, gives replies that Done already has
// a second to be read, ends every connection and goroutine, and returns after
// that. Calls without an answer see Gone.
func (s *Server) Close() { s.once.Do(s.close) }

func (s *Server) close() {
	s.mu.Lock()
	close(s.quit)
	for c := range s.clients {
		// Wakes those who wait for a request. One that sets a later deadline at
		// this moment looks at quit afterwards.
		c.file.SetReadDeadline(time.Unix(1, 0))
	}
	s.mu.Unlock()
	s.made.Remove()
	s.file.Close()

	t := time.AfterFunc(s.limits.close, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.clients {
			c.file.Close() // ends a write to a client that does not read
		}
	})
	defer t.Stop()
	s.wg.Wait()
}

func (s *Server) closing() bool {
	select {
	case <-s.quit:
		return true
	default:
		return false
	}
}

// accept is the accept loop. It waits in the netpoller only.
func (s *Server) accept() {
	defer s.wg.Done()
	var refused, failed limiter
	for {
		fd, err := procnet.Accept(s.raw)
		if err == os.ErrClosed {
			return
		}
		if err != nil {
			// EMFILE and its like: the connection stays in the backlog, so
			// trying again at once would spin.
			if note, ok := failed.note(); ok {
				s.logf("cannot accept control connection: " + err.Error() + note)
			}
			select {
			case <-s.quit:
				return
			case <-clock.After(acceptPause):
			}
			continue
		}
		cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			unix.Close(fd)
			continue
		}
		peer := Peer{Pid: int(cred.Pid), Uid: cred.Uid}
		if peer.Uid != 0 && peer.Uid != s.uid {
			turnAway(fd, CodeRefused, uid(peer.Uid)+" may not control this swapinit, only "+s.whom()+": use docker exec -u 0")
			if note, ok := refused.note(); ok {
				s.logf("control: turned away " + uid(peer.Uid) + ", pid " + strconv.Itoa(peer.Pid) + ": only " + s.whom() + " may" + note)
			}
			continue
		}
		s.admit(fd, peer)
	}
}

func (s *Server) whom() string {
	if s.uid == 0 {
		return "uid 0"
	}
	return "uid 0 and " + uid(s.uid)
}

func uid(n uint32) string { return "uid " + strconv.Itoa(int(n)) }

// admit takes over fd.
func (s *Server) admit(fd int, peer Peer) {
	if !s.room() {
		turnAway(fd, CodeBusy, "too many control connections, accepted are "+strconv.Itoa(MaxClients)+" at a time")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing() {
		unix.Close(fd)
		return
	}
	file := os.NewFile(uintptr(fd), "control client")
	raw, _ := file.SyscallConn() // no error: the file is open
	c := &conn{s: s, file: file, raw: raw, peer: peer, lines: lines.Reader{From: file, Max: MaxLine}}
	s.clients[c] = struct{}{}
	s.wg.Add(1)
	go c.run()
}

// room reports whether one more client may come in. When all places are taken it
// waits for those who have hung up and whose goroutine is just about to notice.
func (s *Server) room() bool {
	late := clock.After(roomTime)
	for {
		s.mu.Lock()
		free, leaving := len(s.clients) < MaxClients, false
		for c := range s.clients {
			leaving = leaving || !free && c.hungUp()
		}
		s.mu.Unlock()
		if free || !leaving {
			return free
		}
		select {
		case <-s.freed:
		case <-s.quit:
			return false
		case <-late:
			return false
		}
	}
}

func (s *Server) forget(c *conn) {
	c.file.Close()
	s.mu.Lock()
	delete(s.clients, c)
	s.mu.Unlock()
	select {
	case s.freed <- struct{}{}:
	default:
	}
	s.wg.Done()
}

// turnAway sends an error to a connection that nobody read from and closes it.
// The buffer of a new socket has room for one line, so this never waits.
func turnAway(fd int, code, reason string) {
	unix.SendmsgN(fd, encode(refuse(code, reason)), nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	unix.Close(fd)
}

// limiter keeps strangers from filling the log: a line now and then, with the
// number of those that were left out.
type limiter struct{ Limiter }

func (l *limiter) note() (suffix string, ok bool) {
	hidden, ok := l.Note()
	if hidden > 0 {
		suffix = " (and " + strconv.Itoa(hidden) + " times since the last such line)"
	}
	return suffix, ok
}

// Limiter bounds the lines of one kind in a log: one in ten seconds.
type Limiter struct {
	last   clock.Time
	hidden int
}

// Note reports whether a line may be logged now, and how many were left out since the
// last one.
func (l *Limiter) Note() (hidden int, ok bool) {
	now := clock.Now()
	if !l.last.IsZero() && now.Sub(l.last) < logEvery {
		l.hidden++
		return 0, false
	}
	hidden, l.last, l.hidden = l.hidden, now, 0
	return hidden, true
}
