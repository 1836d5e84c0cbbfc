package config

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode"

	"github.com/swapinit/swapinit/signals"
	"golang.org/x/sys/unix"
)

// testParsers stand in for the packages signals, listen and ready.
func testParsers() Parsers {
	return Parsers{
		Program: "swapinit",
		Signal: func(s string) (syscall.Signal, error) {
			name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
			if sig := unix.SignalNum("SIG" + name); sig != 0 {
				return sig, nil
			}
			if n, ok := strings.CutPrefix(name, "RTMIN+"); ok {
				if i, err := strconv.Atoi(n); err == nil && i >= 0 && i <= 30 {
					return syscall.Signal(34 + i), nil
				}
			}
			if n, err := strconv.Atoi(s); err == nil && n >= 1 && n <= 64 {
				return syscall.Signal(n), nil
			}
			return 0, errors.New("unknown signal")
		},
		SignalName: func(sig syscall.Signal) string {
			if name := unix.SignalName(sig); name != "" {
				return strings.TrimPrefix(name, "SIG")
			}
			return strconv.Itoa(int(sig))
		},
		Uncatchable: signals.Uncatchable,
		Strategies:  []string{"overlap", "handover", "replace"},
		Beside:      func(s string) bool { return s == "overlap" },
		Metrics: func(s string) error {
			if !strings.HasPrefix(s, ":") && !strings.HasPrefix(s, "/") {
				return errors.New("not one address")
			}
			return nil
		},
		Listen: func(s string) error {
			if strings.HasPrefix(s, "ftp:") {
				return errors.New("no network is named \"ftp\"\n\x1b[31m" + s)
			}
			return nil
		},
		Ready: func(s string) error {
			if s == "maybe" {
				return errors.New("no such way to be ready")
			}
			return nil
		},
	}
}

// maxMessage is more than any error of the package may have.
const maxMessage = 1200

// checkMessage holds every error to the promise of doc.go.
func checkMessage(t *testing.T, err error) {
	t.Helper()
	msg := err.Error()
	if msg == "" || len(msg) > maxMessage {
		t.Errorf("message has %d bytes: %.200q", len(msg), msg)
	}
	if strings.ContainsFunc(msg, unicode.IsControl) {
		t.Errorf("control character in message %q", msg)
	}
	if strings.HasSuffix(msg, ".") {
		t.Errorf("message ends in a full stop: %q", msg)
	}
}

// wantError checks the message's promise and that each part is in it.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	checkMessage(t, err)
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}

func mustLoad(t *testing.T, environ, args []string) *Settings {
	t.Helper()
	s, err := Load(environ, args, testParsers())
	if err != nil {
		t.Fatalf("Load(%q, %q): %v", environ, args, err)
	}
	return s
}
