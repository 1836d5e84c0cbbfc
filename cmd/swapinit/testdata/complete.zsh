# zsh -f complete.zsh FOLDER LINE...: what zsh offers for each LINE and Tab, a word a line, and
# then an empty line, with the completions in FOLDER. It asks an interactive zsh on a terminal
# of its own, whose start-up file it writes into HOME.
zmodload zsh/zpty || exit 3
export ZDOTDIR=$HOME FOLDER=$1
shift

cat > $ZDOTDIR/.zshrc <<'RC'
fpath=($FOLDER $fpath)
autoload -Uz compinit
compinit -u -D
setopt NO_AUTO_LIST NO_AUTO_MENU # a long list would ask whether to be shown
# Whatever is offered is added by compadd. With -O, -A or -D it only looks.
compadd() {
	if (( ${argv[(I)-[OAD]*]} )); then
		builtin compadd "$@"
		return
	fi
	local -a offered
	builtin compadd -A offered "$@"
	(( $#offered )) && print -rl -- $offered >> $HOME/offered
	builtin compadd "$@"
}
next() { print >> $HOME/offered; BUFFER= }
zle -N next
leave() { exit }
zle -N leave
bindkey '^I' complete-word
bindkey '^T' next
bindkey '^Y' leave
PROMPT='ready> '
RC

zpty shell zsh -i
zpty -r shell REPLY '*ready> *' || exit 4
for line; do
	zpty -n -w shell $line$'\t\x14'
done
zpty -n -w shell $'\x19'
while zpty -r shell REPLY 2>/dev/null; do :; done
cat $HOME/offered
