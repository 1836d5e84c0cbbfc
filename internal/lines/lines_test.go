package lines

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

const lineMax = 64 << 10

// all reads to the end; a line that was too long is "!".
func all(t *testing.T, l *Reader) (got []string) {
	t.Helper()
	for {
		line, err := l.Next()
		if len(l.buf) > 2*lineMax || len(l.room) > 4*lineMax {
			t.Fatalf("it holds %d of %d bytes", len(l.buf), len(l.room))
		}
		switch err {
		case nil:
			got = append(got, string(line))
		case ErrTooLong:
			got = append(got, "!")
		case io.EOF:
			return got
		default:
			t.Fatal(err)
		}
	}
}

// want is what all should return.
func want(text string) (lines []string) {
	for {
		line, rest, found := strings.Cut(text, "\n")
		switch {
		case len(line) > lineMax:
			lines = append(lines, "!")
		case found:
			lines = append(lines, line)
		}
		if !found {
			return lines
		}
		text = rest
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", lineMax)
	for _, text := range []string{
		"", "\n", "a", "a\n", "a\nb", "a\n\nb\n",
		long, long + "\n", long + "\na\n",
		long + "x", long + "x\n", long + "x\na\n", long + "xx\n" + long + "\nb\n",
		long + long + long + "\na\n" + long + long + "\n" + long + "x\nb\n",
		strings.Repeat("\n", 3*lineMax),
		strings.Repeat(strings.Repeat("y", 1000)+"\n", 300) + "z",
	} {
		for name, r := range map[string]io.Reader{
			"whole":    strings.NewReader(text),
			"halves":   iotest.HalfReader(strings.NewReader(text)),
			"bytes":    iotest.OneByteReader(strings.NewReader(text)),
			"with EOF": iotest.DataErrReader(strings.NewReader(text)),
		} {
			if got := all(t, &Reader{Max: lineMax, From: r}); !slices.Equal(got, want(text)) {
				t.Errorf("%s, %d bytes: %d lines, want %d", name, len(text), len(got), len(want(text)))
			}
		}
	}
}

// A line that is too long is told before it ends, and an idle channel holds no
// long buffer.
func TestLinesLong(t *testing.T) {
	r, w := io.Pipe()
	l := &Reader{Max: lineMax, From: r}
	go w.Write(bytes.Repeat([]byte("x"), lineMax+2048))
	if _, err := l.Next(); err != ErrTooLong {
		t.Fatal(err)
	}
	go func() {
		w.Write([]byte("\n"))
		w.Write([]byte("a\n"))
		w.Close()
	}()
	if got := all(t, l); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%q", got)
	}
	if len(l.room) > 4<<10 {
		t.Errorf("it keeps %d bytes", len(l.room))
	}
}

// endless is the same short line again and again.
type endless string

func (e endless) Read(b []byte) (n int, _ error) {
	for n+len(e) <= len(b) {
		n += copy(b[n:], e)
	}
	return n, nil
}

// However many short lines there are, they make no garbage.
func TestLinesGarbage(t *testing.T) {
	l := &Reader{Max: lineMax, From: endless("some words\n")}
	if n := testing.AllocsPerRun(10_000, func() { l.Next() }); n > 0 {
		t.Errorf("%v allocations a line", n)
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\n\nc"), uint16(3))
	f.Add(bytes.Repeat([]byte("abc\n"), 100), uint16(700))
	f.Fuzz(func(t *testing.T, text []byte, stretch uint16) {
		// Every x becomes a long piece, so that lines get too long.
		long := strings.ReplaceAll(string(text), "x", strings.Repeat("x", int(stretch)))
		if len(long) > 8*lineMax {
			long = long[:8*lineMax]
		}
		if got := all(t, &Reader{Max: lineMax, From: iotest.HalfReader(strings.NewReader(long))}); !slices.Equal(got, want(long)) {
			t.Fatalf("%d lines, want %d", len(got), len(want(long)))
		}
	})
}
