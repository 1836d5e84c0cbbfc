package e2e

import (
	"context"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// watchOn runs status --watch on a terminal of that size, as a shell would: it is the
// terminal's foreground.
func (c *container) watchOn(p *terminal, size unix.Winsize, env ...string) *exec.Cmd {
	c.t.Helper()
	if err := unix.IoctlSetWinsize(int(p.master.Fd()), unix.TIOCSWINSZ, &size); err != nil {
		c.t.Fatal(err)
	}
	cmd := c.box.Command(context.Background(), append(append([]string{"TERM=xterm"}, c.env...), env...), "setsid", "-w", "-c", binary(c.t, "swapinit"), "status", "--watch")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.slave, p.slave, p.slave
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return cmd
}

// screen is what a terminal shows: of what was written, the escape sequences are obeyed
// that status --watch may use, and any other one is an error.
func screen(t *testing.T, text string, columns, rows int) []string {
	t.Helper()
	lines := make([]string, rows)
	y := 0
	for text != "" {
		switch {
		case strings.HasPrefix(text, "\x1b[H"):
			y, text = 0, text[3:]
		case strings.HasPrefix(text, "\x1b[K"):
			lines[y], text = "", text[3:]
		case strings.HasPrefix(text, "\x1b[J"):
			clear(lines[y:])
			text = text[3:]
		default:
			line, rest, ended := strings.Cut(text, "\r\n")
			if !ended { // written only in part so far
				return lines
			}
			line = regexp.MustCompile("\x1b\\[[0-9]+m").ReplaceAllString(line, "")
			if strings.Contains(line, "\x1b") || len([]rune(line)) > columns {
				t.Fatalf("on a terminal of %d columns: %q", columns, line)
			}
			lines[y], text = line, rest
			if y++; y == rows {
				lines, y = append(lines[1:], ""), rows-1
			}
		}
	}
	return lines
}

func TestWatchOnATerminal(t *testing.T) {
	t.Parallel()
	p := newTerminal(t) // which ends after the container, and so after all who have it open
	c := startWeb(t, steered("SWAPINIT_KEEP=1h", "SWAPINIT_CANARY=25%/1h", soonIdle))
	cmd := c.watchOn(p, unix.Winsize{Row: 40, Col: 100})
	shows := func(pattern string) {
		t.Helper()
		want := regexp.MustCompile("(?m)" + pattern)
		var last string
		if !poll(func() bool {
			last = strings.Join(screen(t, p.String(), 100, 40), "\n")
			return want.MatchString(last)
		}) {
			t.Fatalf("no %q on the screen:\n%s", pattern, last)
		}
	}
	shows(`^last swap: none$`)
	if r := c.Verb("swap", "--no-wait"); r.Code != 0 {
		t.Fatal(r)
	}
	shows(`^swap: generation 2, canary with 25% for .*, (1h00m|59m\d\ds) left$`)
	c.Verb("promote")
	shows(`^last swap: generation 2, ok`)
	shows(`^     kept for .* left$`)
	if text := p.String(); !strings.Contains(text, "\x1b[33mswap: ") || !strings.Contains(text, "\x1b[32m2    active") {
		t.Errorf("no colours in %q", text)
	}
	p.press("\x03")
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	await(t, "the end of a line", func() bool { return strings.Contains(p.String(), "^C") && strings.HasSuffix(p.String(), "\r\n") })
	if strings.Contains(p.String(), "\x1b[?") {
		t.Errorf("it has changed the terminal: %q", p.String())
	}
}

// A terminal with few lines, no colours wanted; and the init ends.
func TestWatchOnASmallTerminal(t *testing.T) {
	t.Parallel()
	p := newTerminal(t)
	c := startWeb(t, steered())
	cmd := c.watchOn(p, unix.Winsize{Row: 4, Col: 200}, "NO_COLOR=1")
	await(t, "three frames", func() bool { return strings.Count(p.String(), "\x1b[H") > 2 })
	if lines := screen(t, p.String(), 200, 4); !strings.HasPrefix(lines[0], "GEN ") || lines[3] != "" {
		t.Errorf("the screen has %q", lines)
	}
	if text := p.String(); strings.Contains(text, "\x1b[3") {
		t.Errorf("colours in %q", text)
	}
	c.Signal(sigTERM)
	c.wantStatus(0)
	_ = cmd.Wait()
}
