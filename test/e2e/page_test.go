//go:build linux

package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the pages of docs/ that are run have in common: a paragraph that is a file's name in
// backticks and a colon is followed by that file, and a console has what is typed.

// pageFileName is that paragraph.
var pageFileName = regexp.MustCompile("^`([A-Za-z0-9][A-Za-z0-9._/-]*)`:$")

// pageCommand is a line of a console, and what it shows.
type pageCommand struct {
	line   string
	output []string
}

// pageConsole reads the lines of a console.
func pageConsole(lines []string) (typed []pageCommand, err error) {
	for _, line := range lines {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			typed = append(typed, pageCommand{line: command})
		} else if n := len(typed); n == 0 {
			return nil, errors.New("a console that does not begin with $")
		} else {
			typed[n-1].output = append(typed[n-1].output, line)
		}
	}
	return typed, nil
}

// pageSave writes files of a page into a folder.
func pageSave(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, text)
	}
}
