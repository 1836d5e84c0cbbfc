package logline

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must happen; never asserted.
const patience = 60 * time.Second

// pipe is a blocking pipe: the write end stands for stderr.
func pipe(t *testing.T) (r *os.File, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r = os.NewFile(uintptr(p[0]), "r")
	t.Cleanup(func() { r.Close() })
	return r, p[1]
}

// logged runs do on a logger and returns all that was written.
func logged(t *testing.T, o Options, do func(*Logger)) string {
	t.Helper()
	r, w := pipe(t)
	o.FD = w
	l := New(o)
	unix.Close(w)
	do(l)
	l.Close(patience)
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestText(t *testing.T) {
	got := logged(t, Options{Level: Info}, func(l *Logger) {
		l.Log(Error, "a", "first", Fields{Generation: 1})
		l.Log(Info, "b", "second", Fields{})
		l.Log(Debug, "c", "not this one", Fields{})
	})
	if want := "swapinit: first\nswapinit: second\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLevels(t *testing.T) {
	for i, name := range Levels {
		l := ParseLevel(name)
		if l != Level(i) {
			t.Errorf("%s: level %v", name, l)
		}
		got := logged(t, Options{Level: l}, func(l *Logger) {
			for each := Error; each <= Debug; each++ {
				if l.Enabled(each) != (each <= Level(i)) {
					t.Errorf("at %s Enabled(%s) is %v", name, Levels[each], l.Enabled(each))
				}
				l.Log(each, "e", Levels[each], Fields{})
			}
		})
		if n := strings.Count(got, "\n"); n != i+1 {
			t.Errorf("at %s %d lines were written, want %d", name, n, i+1)
		}
	}
	if l := ParseLevel("loud"); l != Error {
		t.Errorf("loud: level %v", l)
	}
}

func TestJSON(t *testing.T) {
	got := logged(t, Options{Level: Debug, JSON: true, Color: "always"}, func(l *Logger) {
		l.Log(Warn, "swap.failed", "a \"quoted\"\nline \xff\x1b[2J\u009b \u202e \U000e0001", Fields{
			Generation: 2, Pid: 7, Lost: 1 << 40,
		})
		l.Log(Info, "plain", "m", Fields{})
	})
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %q", len(lines), got)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &m); err != nil {
		t.Fatalf("%v in %q", err, lines[0])
	}
	if _, err := time.Parse(time.RFC3339Nano, m["time"].(string)); err != nil {
		t.Error(err)
	}
	delete(m, "time")
	want := map[string]any{"level": "warn", "event": "swap.failed", "generation": 2., "pid": 7.,
		"message": "a \"quoted\"\nline \ufffd\x1b[2J\u009b \u202e \U000e0001", "lost": float64(int64(1) << 40)}
	if fmt.Sprintf("%q", m) != fmt.Sprintf("%q", want) {
		t.Errorf("got  %q\nwant %q", m, want)
	}
	for _, bad := range []string{"\x1b", "\u009b", "\u202e"} {
		if strings.Contains(got, bad) {
			t.Errorf("the line has a raw %q", bad)
		}
	}
	if strings.Contains(lines[1], "generation") || strings.Contains(lines[1], `"pid"`) {
		t.Errorf("empty fields are there: %s", lines[1])
	}
}

// A line must fit into PIPE_BUF, or the kernel may mix it with others.
func TestLinesAreBounded(t *testing.T) {
	for _, s := range []string{strings.Repeat("x", 1<<20), strings.Repeat("\x01", 1<<16), strings.Repeat("ä", 1<<16), strings.Repeat("\U000e0001", 1<<16)} {
		for _, o := range []Options{{}, {JSON: true}, {Color: "always"}} {
			got := logged(t, o, func(l *Logger) {
				l.Log(Error, s, s, Fields{Generation: 1 << 60, Pid: 1 << 60, Lost: 1 << 60})
			})
			if len(got) > 4096 || strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
				t.Errorf("%+v: %d bytes, %d newlines", o, len(got), strings.Count(got, "\n"))
			}
			if !strings.Contains(got, "…") {
				t.Errorf("%+v: nothing tells that it was cut", o)
			}
			if o.JSON {
				var m map[string]any
				if err := json.Unmarshal([]byte(got), &m); err != nil || m["lost"] != float64(1<<60) {
					t.Errorf("%v, lost %v", err, m["lost"])
				}
			}
		}
	}
}

func TestColors(t *testing.T) {
	env := func(kv ...string) func(string) string {
		return func(k string) string {
			for i := 0; i < len(kv); i += 2 {
				if kv[i] == k {
					return kv[i+1]
				}
			}
			return ""
		}
	}
	ptm, pts := pty(t)
	_ = ptm
	_, w := pipe(t)
	defer unix.Close(w)
	for _, c := range []struct {
		setting string
		fd      int
		env     func(string) string
		want    bool
	}{
		{"always", w, nil, true},
		{"always", w, env("NO_COLOR", "1"), true},
		{"never", pts, nil, false},
		{"auto", w, nil, false},
		{"auto", pts, nil, true},
		{"", pts, env("TERM", "xterm", "NO_COLOR", ""), true},
		{"auto", pts, env("TERM", "dumb"), false},
		{"auto", pts, env("NO_COLOR", "1"), false},
		{"auto", -1, nil, false},
	} {
		if got := Colored(c.setting, c.fd, c.env); got != c.want {
			t.Errorf("%s on fd %d: %v, want %v", c.setting, c.fd, got, c.want)
		}
	}
	got := logged(t, Options{Level: Info, Color: "always"}, func(l *Logger) {
		l.Log(Error, "e", "bad", Fields{})
		l.Log(Warn, "e", "hm", Fields{})
		l.Log(Info, "e", "fine", Fields{})
	})
	if want := "\x1b[2mswapinit:\x1b[22m \x1b[31mbad\x1b[0m\n\x1b[2mswapinit:\x1b[22m \x1b[33mhm\x1b[0m\n\x1b[2mswapinit:\x1b[22m fine\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func pty(t *testing.T) (master, slave int) {
	t.Helper()
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { unix.Close(m) })
	if err := unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("cannot unlock the pseudo terminal: %v", err)
	}
	n, err := unix.IoctlGetInt(m, unix.TIOCGPTN)
	if err != nil {
		t.Skipf("cannot number the pseudo terminal: %v", err)
	}
	s, err := unix.Open(fmt.Sprint("/dev/pts/", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("cannot open the pseudo terminal: %v", err)
	}
	t.Cleanup(func() { unix.Close(s) })
	return m, s
}

// Nobody reads: Log and Flush return, and once somebody reads again one line
// tells how much is missing, at the place where it is missing.
func TestBlockedStderr(t *testing.T) {
	for _, nonblock := range []bool{false, true} {
		r, w := pipe(t)
		if _, err := unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, 4096); err != nil {
			t.Fatal(err)
		}
		if err := unix.SetNonblock(w, nonblock); err != nil {
			t.Fatal(err)
		}
		l := New(Options{FD: w, Level: Info})
		const n = 5000
		for i := range n {
			l.Log(Info, "e", fmt.Sprintf("line %d %s", i, strings.Repeat(".", 200)), Fields{})
		}
		l.Flush(time.Millisecond) // gives up
		got := make(chan string)
		go func() {
			var b strings.Builder
			s := bufio.NewScanner(r)
			for s.Scan() {
				b.WriteString(s.Text() + "\n")
			}
			got <- b.String()
		}()
		l.Flush(patience)
		l.Log(Info, "e", "last", Fields{})
		l.Close(patience)
		<-l.ended
		unix.Close(w)
		out := <-got
		lines, lost, seen := 0, 0, 0
		for _, s := range strings.Split(strings.TrimSpace(out), "\n") {
			var i int
			if c, _ := fmt.Sscanf(s, "swapinit: line %d ", &i); c == 1 {
				if i < seen {
					t.Errorf("line %d after line %d", i, seen)
				}
				seen = i
				lines++
				continue
			}
			var k int
			if c, _ := fmt.Sscanf(s, "swapinit: %d log lines were lost because stderr", &k); c == 1 {
				lost += k
			} else if s != "swapinit: last" {
				t.Errorf("unexpected line %q", s)
			}
		}
		if lost == 0 || lines+lost != n {
			t.Errorf("nonblock %v: %d written, %d reported lost, of %d", nonblock, lines, lost, n)
		}
		if !strings.HasSuffix(out, "swapinit: last\n") {
			t.Error("the line after the flood is missing")
		}
	}
}

// With the reader gone the process lives (SIGPIPE would end it) and a new reader
// of the same fifo is told what it missed.
func TestBrokenStderr(t *testing.T) {
	path := t.TempDir() + "/fifo"
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	w, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := New(Options{FD: w, JSON: true})
	unix.Close(w)
	unix.Close(r)
	for range 3 {
		l.Log(Error, "e", "nobody reads this", Fields{})
	}
	l.Flush(patience)
	r, err = unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(r)
	l.Log(Error, "e", "hello", Fields{})
	l.Close(patience)
	<-l.ended
	buf := make([]byte, 8192)
	n, err := unix.Read(r, buf)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(buf[:n]), []byte("\n"))
	if len(lines) != 2 || !bytes.Contains(lines[0], []byte(`"lost":3`)) || !bytes.Contains(lines[1], []byte("hello")) {
		t.Errorf("got %q", buf[:n])
	}
}

func TestClosedStderr(t *testing.T) {
	l := New(Options{FD: 1 << 20})
	for range 2 * queueLen {
		l.Log(Error, "e", "m", Fields{})
	}
	l.Flush(patience)
	l.Close(patience)
	<-l.ended
	l.Log(Error, "e", "after the end", Fields{})
	l.Flush(patience)
	l.Close(patience)
}

// The fd is a close-on-exec duplicate of at least 3, and goes away on Close.
func TestOwnFD(t *testing.T) {
	before := runtime.NumGoroutine()
	l := New(Options{})
	if l.fd < 3 {
		t.Errorf("fd %d", l.fd)
	}
	if flags, err := unix.FcntlInt(uintptr(l.fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %x, error %v", flags, err)
	}
	l.Close(patience)
	<-l.ended
	if _, err := unix.FcntlInt(uintptr(l.fd), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the fd is still there: %v", err)
	}
	for end := time.Now().Add(patience); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the goroutine is still there")
		}
	}
}

func TestManyWriters(t *testing.T) {
	r, w := pipe(t)
	l := New(Options{FD: w, Level: Info, JSON: true})
	unix.Close(w)
	const writers, each = 8, 500
	done := make(chan int)
	for range writers {
		go func() {
			for i := range each {
				l.Log(Info, "e", "m", Fields{Pid: i + 1})
			}
			done <- 1
		}()
	}
	go func() {
		for range writers {
			<-done
		}
		l.Close(patience)
	}()
	total := 0
	s := bufio.NewScanner(r)
	for s.Scan() {
		var m struct {
			Event string
			Lost  int
		}
		if err := json.Unmarshal(s.Bytes(), &m); err != nil {
			t.Fatalf("%v in %q", err, s.Text())
		}
		if m.Event == "log.lost" {
			total += m.Lost
		} else {
			total++
		}
	}
	if total != writers*each {
		t.Errorf("%d lines written or reported lost, want %d", total, writers*each)
	}
}

func FuzzFormat(f *testing.F) {
	f.Add("swap.ready", "generation 2 ready", 2)
	f.Add("\x00", "\xff\"\\\n\u2028\U000e0001\x1b[31m", -1)
	f.Fuzz(func(t *testing.T, event, message string, n int) {
		line := appendJSON(nil, time.Unix(0, 1), Info, event, message, Fields{Generation: n, Pid: n, Lost: n})
		if !json.Valid(line) || len(line) > maxLine {
			t.Fatalf("not one valid bounded line: %q", line)
		}
		text := appendText(nil, false, Info, message)
		for _, line := range [][]byte{line, text} {
			if bytes.IndexByte(line, '\n') != len(line)-1 || len(line) > maxLine {
				t.Fatalf("not one line: %q", line)
			}
			for _, r := range string(line[:len(line)-1]) {
				if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e {
					t.Fatalf("%U came through: %q", r, line)
				}
			}
		}
	})
}
