//go:build linux

package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/control"
)

// What was asked for and could not be written is a failure; what was done has been done.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	addr := initWith(t, func(c *control.Call) {
		c.Done(&control.Reply{OK: true, Generation: 2, Version: "1.2.2", Status: &control.Status{}, Problems: &control.Problems{}})
	})
	const lost = "swapinit: cannot write the output: no space left on device\n"
	for _, c := range []struct{ args, errs string }{
		{"status", lost},
		{"status --json", lost},
		{"status --watch", lost},
		{"metrics", lost},
		{"check", lost},
		{"check --json", lost},
		{"version", lost},
		{"swap --help", lost},
		{"swap --json", lost},
		{"restart --json", lost},
		{"swap", ""},
		{"swap --no-wait", ""},
		{"health", ""},
		{"stop", ""},
	} {
		var errs bytes.Buffer
		v := verbRun{out: full, err: &errs, every: time.Millisecond, program: "swapinit", env: func(k string) string {
			if k == "SWAPINIT_CONTROL" {
				return addr
			}
			return ""
		}}
		args := strings.Fields(c.args)
		status := v.run(args[0], args[1:])
		if errs.String() != c.errs || (status == exitFailed) != (c.errs != "") {
			t.Errorf("%s: status %d, stderr %q", c.args, status, errs.String())
		}
	}
}

// The same without a verb.
func TestFullDiskHelp(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := os.Stdout, os.Stderr
	defer func() { os.Stdout, os.Stderr = stdout, stderr }()
	os.Stdout, os.Stderr = full, write
	for _, arg := range []string{"help", "--help", "--version"} {
		if status := run([]string{arg}); status != exitFailed {
			t.Errorf("%s: status %d", arg, status)
		}
	}
	write.Close()
	if said, _ := io.ReadAll(read); strings.Count(string(said), "swapinit: cannot write the output: no space left on device\n") != 3 {
		t.Errorf("stderr %q", said)
	}
}
