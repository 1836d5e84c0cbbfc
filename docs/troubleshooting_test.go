package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

const troublePage = "troubleshooting.md"

// message is an item of an entry: a message in code font and nothing else.
var message = regexp.MustCompile("^- `([^`]+)`$")

// TestTroubleshooting: every message that the binary can print as an error or a warning is in
// one entry of the page, every message of the page is one that can be printed, and every
// entry says what to do.
func TestTroubleshooting(t *testing.T) {
	printed, listed := messages(t), map[string]bool{}
	open := false // an entry that has messages, and no explanation yet
	for n, line := range strings.Split(read(t, troublePage), "\n") {
		m := message.FindStringSubmatch(line)
		switch {
		case m == nil && line == "":
		case m == nil && open && strings.HasPrefix(line, "#"):
			t.Errorf("%s:%d: the entry before this has no explanation", troublePage, n+1)
			open = false
		case m == nil:
			open = false
		case listed[m[1]]:
			t.Errorf("%s:%d: %s is in two entries", troublePage, n+1, line)
		case printed[m[1]] == "":
			t.Errorf("%s:%d: nothing prints this any more, take it out: %s", troublePage, n+1, line)
		}
		if m != nil {
			open, listed[m[1]] = true, true
		}
	}
	if open {
		t.Errorf("%s: its last entry has no explanation", troublePage)
	}
	var missing []string
	for pattern, place := range printed {
		if !listed[pattern] {
			missing = append(missing, "- `"+pattern+"`\t"+place)
		}
	}
	if len(missing) == 0 {
		return
	}
	slices.Sort(missing)
	t.Errorf(`%s does not have these messages. Paste each line, without its place, into the entry
of its cause. A cause that is new gets an entry of its own, in the section of where one is:
the lines, an empty line, what it means in one sentence, what to do in one or two.

%s`, troublePage, strings.Join(missing, "\n"))
}
