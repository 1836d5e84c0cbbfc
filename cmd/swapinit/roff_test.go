//go:build linux

package main

import (
	"fmt"
	"regexp"
	"strings"
)

// roff writes the man macros for a page in the little Markdown that the pages need: # heads,
// paragraphs, code that is indented or in backquotes, *emphasis*, links, and tables, of which
// each row is an entry.
type roff struct {
	strings.Builder
	head bool // the last line is a head
}

func (r *roff) line(format string, args ...any) {
	fmt.Fprintf(r, format+"\n", args...)
	r.head = strings.HasPrefix(format, ".S")
}

// paragraph begins one.
func (r *roff) paragraph() {
	if !r.head {
		r.line(".PP")
	}
}

var (
	mark   = regexp.MustCompile("`[^`\n]+`" + `|\*\*[^*]+\*\*|\*[^* ][^*]*\*`)
	anchor = regexp.MustCompile(`\[([^]]+)\]\([^)]+\)`)
)

// plain is text without a meaning for roff.
func plain(text string) string {
	var b strings.Builder
	for _, c := range strings.NewReplacer(`\|`, "|").Replace(text) {
		switch {
		case c == '\\':
			b.WriteString(`\e`)
		case c == '\'':
			b.WriteString(`\(aq`)
		case c == '`':
			b.WriteString(`\(ga`)
		case c == '^':
			b.WriteString(`\(ha`)
		case c == '~':
			b.WriteString(`\(ti`)
		case c > '~':
			fmt.Fprintf(&b, `\[u%04X]`, c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// literal is text that people type, whose - is no hyphen.
func literal(text string) string { return strings.ReplaceAll(plain(text), "-", `\-`) }

// inline is a text with marks.
func inline(text string) string {
	text = anchor.ReplaceAllString(text, "$1")
	var b strings.Builder
	for {
		at := mark.FindStringIndex(text)
		if at == nil {
			return b.String() + plain(text)
		}
		word := text[at[0]:at[1]]
		b.WriteString(plain(text[:at[0]]))
		switch bare := strings.Trim(word, "`*"); {
		case word[0] == '`' || strings.HasPrefix(word, "**"):
			b.WriteString(`\fB` + literal(bare) + `\fR`)
		default:
			b.WriteString(`\fI` + literal(bare) + `\fR`)
		}
		text = text[at[1]:]
	}
}

// fill writes text in lines of at most 78 bytes, none of which looks like a macro.
func (r *roff) fill(text string) {
	line := ""
	flush := func() {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			line = `\&` + line
		}
		if line != "" {
			r.line("%s", line)
		}
		line = ""
	}
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > 78 {
			flush()
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	flush()
}

// entry is a name and what it means.
func (r *roff) entry(name, means string) {
	r.line(".TP")
	r.fill(name)
	r.fill(means)
}

// verbatim is lines as they are.
func (r *roff) verbatim(lines []string) {
	r.paragraph()
	r.line(".RS 4\n.EX")
	for _, line := range lines {
		r.line("%s", strings.TrimSuffix(`\&`+literal(line), `\&`))
	}
	r.line(".EE\n.RE")
}

// rows are those of a table of Markdown, without its head.
func rows(table string) (list [][]string) {
	for n, line := range strings.Split(strings.TrimSpace(table), "\n") {
		cells := regexp.MustCompile(`(^|[^\\])\|`).ReplaceAllString(strings.Trim(line, "| "), "$1\x00")
		var row []string
		for cell := range strings.SplitSeq(cells, "\x00") {
			row = append(row, strings.TrimSpace(cell))
		}
		if n > 1 {
			list = append(list, row)
		}
	}
	return list
}

// table writes an entry for each row: the last cell is what it means.
func (r *roff) table(text string) {
	for _, row := range rows(text) {
		last := len(row) - 1
		name := strings.Join(row[:last], ", ")
		for strings.HasSuffix(name, ", ") {
			name = strings.TrimSuffix(name, ", ")
		}
		if row[last] == "" && last > 1 { // nothing more to say
			name, row[last] = row[0], strings.Join(row[1:last], ", ")
		}
		r.entry(inline(name), inline(row[last]))
	}
}

// markdown writes a text; a paragraph that begins with @ is what insert writes for it.
func (r *roff) markdown(text string, insert func(words []string)) {
	for part := range strings.SplitSeq(strings.Trim(text, "\n"), "\n\n") {
		name, sub := strings.CutPrefix(part, "## ")
		head, top := strings.CutPrefix(part, "# ")
		switch {
		case strings.TrimSpace(part) == "":
			continue
		case sub:
			r.line(".SS %s", plain(name))
		case top:
			r.line(".SH %s", plain(head))
		case strings.HasPrefix(part, "@"):
			insert(strings.Fields(part[1:]))
		case strings.HasPrefix(part, "    "):
			r.verbatim(strings.Split(strings.ReplaceAll(part[4:], "\n    ", "\n"), "\n"))
		case strings.HasPrefix(part, "|"):
			r.table(part)
		default:
			r.paragraph()
			r.fill(inline(part))
		}
	}
}
