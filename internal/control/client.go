package control

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/swapinit/swapinit/internal/lines"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/internal/unixname"
	"golang.org/x/sys/unix"
)

// answerTime is how long a verb waits for the init; swap waits for the swap.
const answerTime = 10 * time.Second

// ErrGone is the error of Do when the connection ended after the request was
// sent and before the reply came: whether the init acted on it is unknown.
var ErrGone = errors.New("the init went away before it answered")

// Do sends one request to the init at addr (@name or a path) and returns its
// reply, which may well be one that says no. onEvent, which may be nil, is called
// for each event in the calling goroutine. A swap or restart with a wait has no
// time limit but the init's own; anything else has 10 s. Errors: *NoInit when nobody could
// be reached, ErrGone, or one that says what went wrong.
func Do(addr string, req Request, onEvent func(Event)) (*Reply, error) {
	line := encode(&req)
	if len(line)-1 > MaxLine {
		return nil, errors.New("cannot send request: " + strconv.Itoa(len(line)-1) + " bytes, accepted are up to " + strconv.Itoa(MaxLine))
	}
	start := time.Now()
	f, err := dial(addr, start.Add(answerTime))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	f.SetDeadline(start.Add(answerTime))
	_, sent := f.Write(line)
	if waits(req) {
		f.SetDeadline(time.Time{})
	}
	// Also after a failed write: an init that turns us away says why and closes.
	in := lines.Reader{From: f, Max: maxAnswer}
	for {
		line, err := in.Next()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, errors.New("the init did not answer within " + answerTime.String())
		case err != nil && sent != nil:
			return nil, &NoInit{"cannot send request to " + addr + ": " + errors.Unwrap(sent).Error(), sent}
		case errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET):
			return nil, ErrGone
		case err != nil:
			return nil, text.Errorf("cannot read answer: %w", err)
		}
		e, r, err := decodeAnswer(line)
		switch {
		case err != nil:
			return nil, err
		case r != nil:
			return r, nil
		case onEvent != nil:
			onEvent(*e)
		}
	}
}

// waits says whether the answer takes as long as a swap.
func waits(r Request) bool {
	return (r.Verb == VerbSwap || r.Verb == VerbRestart) && !r.Swap.NoWait || r.Verb == VerbWait
}

// dial connects; the caller owns the file. Its errors are *NoInit.
func dial(addr string, deadline time.Time) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		if err = connect(fd, addr, deadline); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return nil, &NoInit{"cannot reach swapinit at " + addr + ": " + err.Error(), err}
	}
	return os.NewFile(uintptr(fd), addr), nil
}

// connect ends with a socket that does not block.
func connect(fd int, addr string, deadline time.Time) error {
	if len(addr) > unixname.MaxPath && !strings.HasPrefix(addr, "@") {
		return errors.New("the path is longer than 107 bytes")
	}
	for {
		// A full backlog makes connect wait, as long as this allows (socket(7)).
		// It is not restarted after a signal then, and the Go runtime uses some.
		left := time.Until(deadline)
		if left <= 0 {
			return unix.ETIMEDOUT
		}
		tv := unix.NsecToTimeval(max(left.Nanoseconds(), int64(time.Millisecond)))
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv); err != nil {
			return err
		}
		switch err := unix.Connect(fd, &unix.SockaddrUnix{Name: addr}); err {
		case nil, unix.EISCONN:
			if err := checkServer(fd, addr); err != nil {
				return err
			}
			return unix.SetNonblock(fd, true)
		case unix.EAGAIN:
			return unix.ETIMEDOUT
		case unix.EINTR:
		default:
			return err
		}
	}
}

// who is a process in a message.
func who(c *unix.Ucred) string {
	return "pid " + strconv.Itoa(int(c.Pid)) + " of " + uid(c.Uid)
}

// checkServer asks who listens (SO_PEERCRED of a client: who called listen).
// Any process of the network namespace may take an abstract name before the init
// does, but none can have its pid.
func checkServer(fd int, addr string) error {
	inode, err := procnet.Namespace("pid")
	if err != nil {
		return nil // a name that was looked up in /proc does not come here
	}
	want, ok := autoPid(addr, inode)
	if !ok {
		return nil
	}
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return err
	}
	if int(cred.Pid) != want {
		return errors.New("it belongs to " + who(cred) + " instead of pid " + strconv.Itoa(want))
	}
	return nil
}
