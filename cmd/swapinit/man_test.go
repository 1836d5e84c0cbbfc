//go:build linux

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	pid1 "github.com/swapinit/swapinit/init"
	"github.com/swapinit/swapinit/internal/config"
)

// manDate is when the pages were last read through; a release sets it.
const manDate = "2026-11-27"

// manPages are the pages, with what apropos says of each.
var manPages = []struct{ name, section, title string }{
	{"swapinit", "1", "SWAPINIT"},
	{"swapinit-gate", "1", "SWAPINIT-GATE"},
	{"swapinit.env", "5", "SWAPINIT.ENV"},
}

// manWriter writes a page: the text of a page stands in testdata/man, and what is in the tables of
// the program and of docs/ comes from there.
type manWriter struct {
	roff
	t   *testing.T
	all []manual
}

func manPage(t *testing.T, name, section, title string) string {
	text, err := os.ReadFile("testdata/man/" + name + "." + section + ".md")
	if err != nil {
		t.Fatal(err)
	}
	w := &manWriter{t: t, all: manuals(t)}
	w.line(`.\" %s`, written)
	w.line(`.TH %s %s %s swapinit`, title, section, manDate)
	w.markdown(string(text), w.insert)
	return w.String()
}

// doc is the part of a page of docs/ below a head, up to the next one.
func (w *manWriter) doc(words []string) string {
	w.t.Helper()
	head := strings.Join(words[1:], " ")
	page, err := os.ReadFile("../../docs/" + words[0])
	if err != nil {
		w.t.Fatal(err)
	}
	_, part, found := strings.Cut(string(page), "\n"+head+"\n")
	if !found {
		w.t.Fatalf("%s has no %q", words[0], head)
	}
	if end := regexp.MustCompile(`(?m)^#+ `).FindStringIndex(part); end != nil {
		part = part[:end[0]]
	}
	return part
}

func (w *manWriter) of(verb string) manual {
	w.t.Helper()
	for _, m := range w.all {
		if m.verb == verb {
			return m
		}
	}
	w.t.Fatalf("no verb %s", verb)
	return manual{}
}

// insert writes what a page asks for by a paragraph with @.
func (w *manWriter) insert(words []string) {
	w.t.Helper()
	switch what, rest := words[0], words[1:]; what {
	case "name":
		name, means, _ := strings.Cut(strings.SplitN(usageHead, "\n", 2)[0], ": ")
		w.fill(name + ` \- ` + plain(means))
	case "synopsis":
		w.synopsis("swapinit [flags] [--] command [arg...]")
		for _, m := range w.all {
			w.synopsis(m.usage)
		}
	case "usage":
		w.synopsis(w.of(rest[0]).usage)
	case "details":
		w.paragraph()
		w.fill(plain(w.of(rest[0]).text))
	case "status":
		w.terms(w.of(rest[0]).status)
	case "flags":
		for _, f := range initFlags(w.t) {
			name := "`" + strings.Join(f.names, "`, `") + "`"
			if f.value != "" {
				name += " *" + f.value + "*"
			}
			means := f.means
			if f.again {
				means += "; may be repeated"
			}
			w.entry(inline(name), inline(means))
		}
	case "verbs":
		for _, m := range w.all {
			w.verb(m)
		}
	case "settings":
		for _, v := range config.Variables(pid1.Parsers()) {
			preset := "empty"
			if v.Default != "" {
				preset = "`" + v.Default + "`"
			}
			w.entry(inline("`"+v.Name+"`"), inline(strings.ReplaceAll(v.Help, "^", "`")+"."))
			w.line(".br")
			w.fill(inline("Accepts " + v.Accepts + "."))
			w.line(".br")
			w.fill(inline("Default: " + preset + "."))
		}
	case "table":
		part := w.doc(rest)
		at := strings.Index(part, "\n| ")
		if at < 0 {
			at = strings.Index(part, "\n|")
		}
		table, _, _ := strings.Cut(part[at+1:], "\n\n")
		w.table(table)
	case "section":
		w.markdown(w.doc(rest), w.insert)
	default:
		w.t.Fatalf("nobody knows @%s", what)
	}
}

var usageName = regexp.MustCompile(`[A-Z]+|command|arg|flags`)

// synopsis is a usage: what is typed is bold, what stands for something else is not.
func (w *manWriter) synopsis(usage string) {
	w.line(".HP")
	var words []string
	for word := range strings.FieldsSeq(usage) {
		core := strings.Trim(word, "[].")
		before, after, _ := strings.Cut(word, core)
		switch {
		case core == "":
			words = append(words, literal(word))
			continue
		case usageName.FindString(core) == core:
			core = `\fI` + core + `\fR`
		default:
			core = `\fB` + literal(core) + `\fR`
		}
		words = append(words, plain(before)+core+plain(after))
	}
	w.fill(strings.Join(words, " "))
}

func (w *manWriter) terms(list []term) {
	for _, o := range list {
		w.entry(inline("`"+o.name+"`"), inline(o.means))
	}
}

func (w *manWriter) verb(m manual) {
	w.line(".SS %s", m.verb)
	w.synopsis(m.usage)
	w.line(".PP")
	w.fill(plain(m.text))
	w.terms(m.options)
	w.line(".PP\nExit status:")
	w.terms(m.status)
	if len(m.examples) > 1 {
		w.line(".PP\nExamples:")
	} else {
		w.line(".PP\nExample:")
	}
	w.verbatim(m.examples)
}

func TestManPages(t *testing.T) {
	for _, p := range manPages {
		fresh(t, "man/"+p.name+"."+p.section, manPage(t, p.name, p.section, p.title))
	}
}

// The tools that show man pages find nothing to complain of.
func TestManPagesAreClean(t *testing.T) {
	for name, args := range map[string][]string{"mandoc": {"-T", "lint"}, "groff": {"-ww", "-man", "-K", "utf8", "-T", "utf8", "-z"}} {
		t.Run(name, func(t *testing.T) {
			tool(t, name)
			for _, p := range manPages {
				if out := output(t, name, append(args, packaging+"/man/"+p.name+"."+p.section)...); out != "" {
					t.Errorf("%s: %s", p.name, out)
				}
			}
		})
	}
}

// struck is a letter that is printed over another one, for bold and underlined text.
var struck = regexp.MustCompile(`.\x08`)

// What people read has all that is in the tables.
func TestManPagesAreComplete(t *testing.T) {
	tool(t, "mandoc")
	shown := map[string]string{}
	for _, p := range manPages {
		text := struck.ReplaceAllString(output(t, "mandoc", "-T", "ascii", packaging+"/man/"+p.name+"."+p.section), "")
		shown[p.name] = strings.Join(strings.Fields(text), " ")
	}
	has := func(page string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(shown[page], w) {
				t.Errorf("%s(…) does not show %q", page, w)
			}
		}
	}
	for _, m := range manuals(t) {
		has("swapinit", " "+m.verb+" "+m.usage+" ")
		for _, o := range m.options {
			has("swapinit", " "+o.name+" "+o.means)
		}
		has("swapinit", m.examples...)
	}
	for _, f := range initFlags(t) {
		has("swapinit", f.names...)
	}
	has("swapinit", "128+n", "WINCH", "swapinit - init for containers", "may be repeated")
	has("swapinit-gate", "SWAPINIT_GATE_ALLOW", "--or-rollback", "another gate on the volume", "The holder dies.")
	for _, v := range config.Variables(pid1.Parsers()) {
		help := strings.Fields(strings.ReplaceAll(v.Help, "^", ""))
		has("swapinit.env", v.Name+" "+help[0]+" "+help[1], "Default: "+v.Default)
	}
	has("swapinit.env", "SERVER_STARTER_PORT", "NOTIFY_SOCKET")
}
