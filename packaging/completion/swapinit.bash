# bash completion for swapinit, written by go test ./cmd/swapinit -update

_swapinit() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words= at=1 i
	local verbs='swap restart rollback promote message status metrics health stop version gate wait check help'
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
		*:--timeout) words='' ;;
		*:--strategy) words='overlap handover replace' ;;
		*:--canary) words='off' ;;
		*:--canary-by) words='random client' ;;
		*:--side) words='' ;;
		help:*) words="$verbs" ;;
		*)
			case ${COMP_WORDS[1]} in
			swap) words='--no-wait --follow --timeout --strategy --canary --canary-by --cancel --json --help' ;;
			restart) words='--force --no-wait --timeout --json --side --help' ;;
			status) words='--json --watch --help' ;;
			wait) words='--timeout --or-rollback --help' ;;
			check) words='--json --help' ;;
			*) words=--help ;;
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
		-e|-r|--rewrite|-p) at=$((at + 2)) ;;
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
		COMPREPLY=($(compgen -W '-g -e -r --rewrite -p -v --verbose -w -c -s --single-child -V --version -h --help' -- "$cur"))
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
