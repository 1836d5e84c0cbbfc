package config

import (
	"errors"
	"strings"

	"github.com/swapinit/swapinit/internal/insertion"
	"github.com/swapinit/swapinit/internal/text"
)

// sidePrefix is what the names of a family of settings begin with, which are not in the
// table: one for each process beside the server.
const sidePrefix = Prefix + "SIDE_"

// Side is a process beside the server.
type Side struct {
	Name    string // in lower case
	Command []string
}

// sideVariable is the family as it is documented.
var sideVariable = Variable{
	Name:    sidePrefix + "<NAME>",
	Accepts: "a command as shell-like words; NAME has letters, digits and _",
	Help:    "a process beside the server (cron, a log shipper, php-fpm), which ^status^ shows by that name in lower case. It is started before the server, is not swapped, gets no sockets, and is started again when it ends. No shell is involved",
}

// nearSide reports whether head may be meant to be the SIDE of such a name.
func nearSide(head string) bool {
	_, near := text.Nearest(head, []string{"SIDE"})
	return near
}

// readSides reads those that were set, in the order of their names.
func (l *loader) readSides() (sides []Side, err error) {
	var names []string
	for name := range l.values {
		if strings.HasPrefix(name, sidePrefix) {
			names = append(names, name)
		}
	}
	insertion.Sort(len(names), func(i, j int) bool { return names[i] < names[j] }, func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names {
		value := l.values[name]
		if name = name[len(sidePrefix):]; !sideName(name) {
			return nil, l.badSide(name, "")
		}
		if value == "" { // as good as unset
			continue
		}
		one := Side{Name: text.Lower(name)}
		for i := range sides {
			if sides[i].Name == one.Name {
				return nil, l.badSide(name, "another variable differs from it in upper and lower case only, and both are shown as "+one.Name)
			}
		}
		if one.Command, err = sideCommand(value); err != nil {
			return nil, l.badSide(name, err.Error())
		}
		if l.parsers.Gate {
			return nil, l.badSide(name, "a gate starts nothing; set it in the containers that join it")
		}
		sides = append(sides, one)
	}
	return sides, nil
}

func (l *loader) badSide(name, problem string) error {
	e := &ValueError{Variable: sidePrefix + name, Value: l.values[sidePrefix+name], Problem: problem}
	if problem == "" {
		e.Problem, e.Accepts = "no name of a process beside the server", "a name of letters, digits and _ after "+sidePrefix
	}
	return e
}

func sideName(name string) bool {
	return name != "" && strings.Trim(text.Upper(name), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

func sideCommand(value string) ([]string, error) {
	words, err := command(value)
	if err != nil {
		return nil, errors.New(err.Error() + "; want a command as shell-like words")
	}
	for _, word := range words {
		if _, err := Expand(word, 0, nil); err != nil {
			return nil, errors.New("it gets no sockets, so " + quote(word) + " stands for none; a backslash before the { leaves it as it is")
		}
	}
	return words, nil
}
