package text

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// What is supported is printed as by fmt, and wrapped.
func TestFormat(t *testing.T) {
	path := &os.PathError{Op: "open", Path: "/x", Err: os.ErrNotExist}
	for _, c := range []struct {
		format string
		args   []any
	}{
		{"", nil},
		{"plain äöü", nil},
		{"100%%", nil},
		{"%d%% of %s", []any{25, "all"}},
		{"%s%s", []any{"a%d", "%%"}},
		{"%d %d %d %d %d", []any{-1, int64(-1 << 63), uint64(1<<64 - 1), uint32(7), 0}},
		{"%q %q", []any{"a\n\"b\xff", []byte("c\x00")}},
		{"%v %s %v", []any{1500 * time.Millisecond, time.Duration(0), true}},
		{"%s", []any{[]byte("bytes")}},
		{"cannot read %s: %w", []any{"/x", path}},
		{"%w: %w", []any{io.EOF, path}},
		{"%v: %w", []any{path, io.EOF}},
		{"%v, not wrapped", []any{io.EOF}},
		{"%v", []any{nil}},
		{"the %dth", []any{4}},
	} {
		got, want := Errorf(c.format, c.args...), fmt.Errorf(c.format, c.args...)
		if got.Error() != want.Error() {
			t.Errorf("%q: %q, fmt has %q", c.format, got, want)
		}
		if !strings.Contains(c.format, "%w") {
			if s := Sprintf(c.format, c.args...); s != want.Error() {
				t.Errorf("%q: %q, fmt has %q", c.format, s, want)
			}
		}
		for _, of := range []error{io.EOF, os.ErrNotExist, os.ErrExist} {
			if errors.Is(got, of) != errors.Is(want, of) {
				t.Errorf("%q is %v: %v", c.format, of, errors.Is(got, of))
			}
		}
		_, found := errors.AsType[*os.PathError](got)
		if _, is := errors.AsType[*os.PathError](want); found != is {
			t.Errorf("%q has a PathError: %v", c.format, found)
		}
	}
}

// A call that is wrong, which test/lint does not let pass, still prints what it has.
func TestFormatOfTooFew(t *testing.T) {
	for format, want := range map[string]string{"%s and %s": "a and %", "%": "%", "%s%": "a%"} {
		if got := Sprintf(format, "a"); got != want {
			t.Errorf("%q: %q, want %q", format, got, want)
		}
	}
}

func FuzzFormat(f *testing.F) {
	f.Add("%s: %q %d%% %v", "a", 5)
	f.Add("x%%%d%s%q%w", "\xff\n", -1)
	f.Fuzz(func(t *testing.T, format, s string, n int) {
		var args []any
		for rest := format; ; {
			_, after, found := strings.Cut(rest, "%")
			if !found {
				break
			}
			switch {
			case after == "":
				return
			case after[0] == '%':
			case strings.IndexByte("svqw", after[0]) >= 0:
				if args = append(args, s); after[0] == 'w' {
					args[len(args)-1] = io.EOF
				}
			case after[0] == 'd':
				args = append(args, n)
			default:
				return
			}
			rest = after[1:]
		}
		if got, want := Errorf(format, args...).Error(), fmt.Errorf(format, args...).Error(); got != want {
			t.Errorf("%q: %q, fmt has %q", format, got, want)
		}
	})
}
