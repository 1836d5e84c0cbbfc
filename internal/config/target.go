package config

import (
	"errors"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/text"
)

// maxTarget is the largest target file, in bytes.
const maxTarget = 64 << 10

// Target reads the text of SWAPINIT_TARGET_FILE: one command of shell-like
// words. Empty lines are skipped, and # at the beginning of a word comments out
// the rest of its line. A newline within quotes, or after a backslash, does not
// end the command. At least one word is returned, the first not empty.
func Target(data []byte) ([]string, error) {
	if len(data) > maxTarget {
		return nil, errors.New("cannot read target: larger than 64 KiB")
	}
	all := strings.TrimPrefix(string(data), "\ufeff")
	rest := all
	var command []string
	ended := false // a newline came after the command
	for {
		rest = strings.TrimLeft(rest, " \t\r")
		switch {
		case strings.HasPrefix(rest, "\n"):
			ended = len(command) > 0
			rest = rest[1:]
			continue
		case strings.HasPrefix(rest, "#"):
			rest = strings.TrimLeftFunc(rest, func(r rune) bool { return r != '\n' })
			continue
		}
		word, after, err := nextWord(rest, " \t\r")
		if err != nil {
			return nil, targetError(all, rest, err.Error())
		}
		if word == nil {
			if after == "" {
				break
			}
			rest = after // joined lines
			continue
		}
		if ended {
			return nil, targetError(all, rest, "a second command, want one line")
		}
		command = append(command, *word)
		rest = after
	}
	if len(command) == 0 || command[0] == "" {
		return nil, errors.New("cannot read target: no command in it")
	}
	return command, nil
}

// targetError names the line on which rest begins.
func targetError(all, rest, problem string) error {
	line := 1 + strings.Count(all[:len(all)-len(rest)], "\n")
	return errors.New("cannot read target: line " + strconv.Itoa(line) + ": " + problem)
}

// FormatTarget is the text for SWAPINIT_TARGET_FILE that Target reads back as
// command. What Target would refuse is an error here.
func FormatTarget(command []string) ([]byte, error) {
	data := []byte(text.ShellWords(command) + "\n")
	if _, err := Target(data); err != nil {
		return nil, err
	}
	return data, nil
}
