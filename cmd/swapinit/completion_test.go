//go:build linux

package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	pid1 "github.com/swapinit/swapinit/init"
)

// option is one of a verb or a flag of the init, as a shell completes it.
type option struct {
	names  []string
	takes  bool
	values []string // those that can be named
	means  string
	again  bool
}

const optionHelp = "--help"

// choices are values that can be listed.
func choices(name string) []string {
	switch name {
	case "--strategy":
		return pid1.Parsers().Strategies
	case "--canary":
		return []string{"off"}
	case "--canary-by":
		return []string{"random", "client"}
	}
	return nil
}

// completed are the options of a verb, with --help and without what follows --.
func completed(m manual) (list []option) {
	for _, o := range m.options {
		name, value, takes := strings.Cut(o.name, " ")
		if name != "--" {
			list = append(list, option{names: []string{name}, takes: takes && value != "", values: choices(name), means: o.means})
		}
	}
	return append(list, option{names: []string{optionHelp}, means: "print what it does"})
}

// initOptions are the flags of the init.
func initOptions(t *testing.T) (list []option) {
	for _, f := range initFlags(t) {
		list = append(list, option{names: f.names, takes: f.value != "", means: f.means, again: f.again})
	}
	return list
}

// names are those of all options, or of those with a value.
func names(list []option, valued bool) (all []string) {
	for _, o := range list {
		if o.takes || !valued {
			all = append(all, o.names...)
		}
	}
	return all
}

func TestCompletions(t *testing.T) {
	all, flags := manuals(t), initOptions(t)
	fresh(t, "completion/swapinit.bash", bashCompletion(all, flags))
	fresh(t, "completion/_swapinit", zshCompletion(all, flags))
	fresh(t, "completion/swapinit.fish", fishCompletion(all, flags))
}

// quoted is text in single quotes for a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func bashCompletion(all []manual, flags []option) string {
	var b strings.Builder
	var verbs, options, values []string
	known := map[string]bool{}
	for _, m := range all {
		verbs = append(verbs, m.verb)
		list := completed(m)
		if len(list) == 1 {
			continue // --help, as any verb
		}
		options = append(options, fmt.Sprintf("\t%s) words=%s ;;", m.verb, quoted(strings.Join(names(list, false), " "))))
		for _, o := range list {
			if o.takes && !known[o.names[0]] {
				known[o.names[0]] = true
				values = append(values, fmt.Sprintf("\t*:%s) words=%s ;;", o.names[0], quoted(strings.Join(o.values, " "))))
			}
		}
	}
	fmt.Fprintf(&b, `# bash completion for swapinit, %s

_swapinit() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words= at=1 i
	local verbs=%s
	COMPREPLY=()
	# --name=value is three words for bash.
	if [[ $cur == = ]]; then
		cur=
	elif [[ $prev == = ]]; then
		prev=${COMP_WORDS[COMP_CWORD-2]}
	fi

	if ((COMP_CWORD > 1)) && [[ " $verbs " == *" ${COMP_WORDS[1]} "* ]]; then
		# A verb: of swap a command follows --.
		for ((i = 2; i < COMP_CWORD; i++)); do
			if [[ ${COMP_WORDS[1]} == swap && ${COMP_WORDS[i]} == -- ]]; then
				_swapinit_command $((i + 1))
				return
			fi
		done
		case ${COMP_WORDS[1]}:$prev in
%s
		%s:*) words="$verbs" ;;
		*)
			case ${COMP_WORDS[1]} in
%s
			*) words=%s ;;
			esac
			;;
		esac
		COMPREPLY=($(compgen -W "$words" -- "$cur"))
		compopt +o default 2>/dev/null
		return
	fi

	# Flags, then a command.
	while ((at < COMP_CWORD)); do
		case ${COMP_WORDS[at]} in
		--) at=$((at + 1)); _swapinit_command "$at"; return ;;
		%s) at=$((at + 2)) ;;
		=) at=$((at + 2)) ;;
		-*) at=$((at + 1)) ;;
		*) break ;;
		esac
	done
	if ((at > COMP_CWORD)); then
		[[ $prev == -p ]] && COMPREPLY=($(compgen -A signal -- "$cur"))
		return
	fi
	if ((at == COMP_CWORD)) && [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W %s -- "$cur"))
		return
	fi
	_swapinit_command "$at"
	if ((COMP_CWORD == 1)); then
		COMPREPLY+=($(compgen -W "$verbs" -- "$cur"))
	fi
}

# _swapinit_command AT completes the command that begins there, or its arguments.
_swapinit_command() {
	if (($1 == COMP_CWORD)); then
		COMPREPLY=($(compgen -c -- "${COMP_WORDS[COMP_CWORD]}"))
	elif declare -F _command_offset >/dev/null; then
		_command_offset "$1"
	fi
}

complete -o default -F _swapinit swapinit
`, written, quoted(strings.Join(verbs, " ")), indent(values, "\t"), verbHelp, indent(options, "\t\t"), optionHelp,
		strings.Join(names(flags, true), "|"), quoted(strings.Join(names(flags, false), " ")))
	return b.String()
}

func indent(lines []string, by string) string {
	return by + strings.Join(lines, "\n"+by)
}

// zshSpec is an option as _arguments wants it.
func zshSpec(o option, name string) string {
	text := strings.NewReplacer("[", `\[`, "]", `\]`, ":", `\:`).Replace(o.means)
	spec := name + "[" + text + "]"
	if o.again {
		spec = "*" + spec
	}
	if o.takes {
		if strings.HasPrefix(name, "--") {
			spec = strings.Replace(spec, name, name+"=", 1)
		}
		spec += ":value:"
		if len(o.values) > 0 {
			spec += "(" + strings.Join(o.values, " ") + ")"
		}
	}
	return quoted(spec)
}

// operand is what a verb wants besides options: NAME, DATA.
var operand = regexp.MustCompile(` [A-Z]+\b`)

func zshCompletion(all []manual, flags []option) string {
	var verbs, cases, specs []string
	for _, m := range all {
		verbs = append(verbs, quoted(m.verb+":"+strings.ReplaceAll(m.help, ":", `\:`)))
		var list []string
		for _, o := range completed(m) {
			list = append(list, zshSpec(o, o.names[0]))
		}
		switch word := operand.FindString(m.usage); {
		case m.verb == verbHelp:
			list = append(list, quoted("1:verb:("+strings.Join(verbNames(), " ")+")"))
		case word != "":
			list = append(list, quoted("1:"+strings.TrimSpace(word)+":"))
		}
		cases = append(cases, m.verb+")\n\t\t_arguments \\\n\t\t\t"+strings.Join(list, " \\\n\t\t\t")+"\n\t\t;;")
	}
	for _, o := range flags {
		for _, name := range o.names {
			specs = append(specs, zshSpec(o, name))
		}
	}
	return fmt.Sprintf(`#compdef swapinit
# zsh completion for swapinit, %s

local -a verbs=(
	%s
)

# A verb counts only as the first word; all else is flags, then a command.
if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
	_describe -t verbs verb verbs
	_command_names -e
	return
fi

if [[ $words[2] == (%s) ]]; then
	local verb=$words[2]
	local -i at=${words[(ie)--]}
	if [[ $verb == swap ]] && (( at < CURRENT )); then
		shift $at words
		(( CURRENT -= at ))
		_normal
		return
	fi
	shift words
	(( CURRENT-- ))
	case $verb in
	%s
	esac
	return
fi

_arguments -s -S \
	%s \
	'(-)1:command:_command_names -e' \
	'*::arguments:_normal'
`, written, strings.Join(verbs, "\n\t"), strings.Join(verbNames(), "|"), strings.Join(cases, "\n\t"), strings.Join(specs, " \\\n\t"))
}

func fishCompletion(all []manual, flags []option) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# fish completion for swapinit, %s

# What is typed so far: nothing, a verb, flags, all that stands before a command (start),
# or a command.
function __swapinit_typed
    set -l words (commandline -opc)[2..]
    if test (count $words) -eq 0
        echo nothing
        return
    end
    if contains -- $words[1] %s
        if test $words[1] = swap; and test $words[-1] = --
            echo start
        else if test $words[1] = swap; and contains -- -- $words
            echo command
        else
            echo $words[1]
        end
        return
    end
    while test (count $words) -gt 0
        switch $words[1]
            case --
                test (count $words) -eq 1; and echo start; or echo command
                return
            case %s
                set -e words[1]
            case '-*'
            case '*'
                echo command
                return
        end
        set -e words[1]
    end
    echo flags
end

function __swapinit_at
    contains -- (__swapinit_typed) $argv
end

complete -c swapinit -n '__swapinit_at nothing flags start' -a '(__fish_complete_command)'
`, written, strings.Join(verbNames(), " "), strings.Join(names(flags, true), " "))
	one := func(at string, o option, extra string) {
		fmt.Fprintf(&b, "complete -c swapinit -n '__swapinit_at %s'", at)
		for _, name := range o.names {
			if long, ok := strings.CutPrefix(name, "--"); ok {
				b.WriteString(" -l " + long)
			} else {
				b.WriteString(" -s " + name[1:])
			}
		}
		if o.takes {
			b.WriteString(" -x")
		}
		if len(o.values) > 0 {
			b.WriteString(" -a " + quoted(strings.Join(o.values, " ")))
		}
		fmt.Fprintf(&b, "%s -d %s\n", extra, fishQuoted(o.means))
	}
	for _, o := range flags {
		one("nothing flags", o, "")
	}
	for _, m := range all {
		fmt.Fprintf(&b, "\ncomplete -c swapinit -n '__swapinit_at nothing' -a %s -d %s\n", m.verb, fishQuoted(m.help))
		fmt.Fprintf(&b, "complete -c swapinit -n '__swapinit_at %s' -f\n", m.verb)
		for _, o := range completed(m) {
			one(m.verb, o, "")
		}
		if m.verb == verbHelp {
			fmt.Fprintf(&b, "complete -c swapinit -n '__swapinit_at %s' -a %s\n", m.verb, quoted(strings.Join(verbNames(), " ")))
		}
	}
	return b.String()
}

// fishQuoted is text in single quotes, in which fish knows backslashes.
func fishQuoted(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}
