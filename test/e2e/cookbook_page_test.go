//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const cookbookDir = "../../docs/cookbook"

// cookbookPage is a page of docs/cookbook: what a reader copies from it, types, and is
// promised. docs/cookbook/README.md says how it is written.
type cookbookPage struct {
	name     string // of the file, without .md
	untested bool   // and says so
	sections []*cookbookSection
	untried  []string            // headings that say so
	shared   map[string]string   // files of all sections
	typed    []pageCommand       // what is typed, under headings that are no sections
	lost     map[string][]string // by section: what is claimed of new connections, of kept ones
}

// cookbookSection is one way to run the server: a heading with a Dockerfile.
type cookbookSection struct {
	title string
	files map[string]string
	typed []pageCommand
}

var cookbookMark = "**Untested here**: "

// cookbookRead reads a page. It is strict: what it does not understand is an error.
func cookbookRead(name string) (*cookbookPage, error) {
	text, err := os.ReadFile(filepath.Join(cookbookDir, name+".md"))
	if err != nil {
		return nil, err
	}
	return cookbookParse(name, string(text))
}

func cookbookParse(name, text string) (*cookbookPage, error) {
	p := &cookbookPage{name: name, shared: map[string]string{}, lost: map[string][]string{}}
	r := cookbookReader{page: p, lines: strings.Split(text, "\n")}
	if err := r.read(); err != nil {
		return nil, fmt.Errorf("%s.md, line %d: %w", name, r.at, err)
	}
	return p, p.check()
}

// cookbookReader goes through the lines of a page.
type cookbookReader struct {
	page  *cookbookPage
	lines []string
	at    int // lines read

	heading string
	files   map[string]string // under this heading
	typed   []pageCommand
	file    string // whose block is to follow
	text    bool   // there was some, under this heading
	mark    bool   // and it began with the mark
}

func (r *cookbookReader) read() error {
	r.files = map[string]string{}
	for r.at < len(r.lines) {
		line := strings.TrimRight(r.lines[r.at], " ")
		r.at++
		switch {
		case strings.HasPrefix(line, "```"):
			if err := r.block(line[3:]); err != nil {
				return err
			}
			continue
		case line == "":
			continue
		}
		if r.file != "" {
			return fmt.Errorf("%s: is not followed by a block", r.file)
		}
		switch m := pageFileName.FindStringSubmatch(line); {
		case m != nil:
			r.file = m[1]
		case strings.HasPrefix(line, "# "):
			if r.heading != "" {
				return fmt.Errorf("a second title")
			}
			r.heading = line
		case strings.HasPrefix(line, "## "):
			if err := r.ends(); err != nil {
				return err
			}
			r.heading = line[3:]
		case strings.HasPrefix(line, "|") && r.heading == "What is lost":
			if err := r.claim(line); err != nil {
				return err
			}
		case !r.text:
			r.text = true
			r.mark = strings.HasPrefix(line, cookbookMark)
		}
	}
	return r.ends()
}

// block reads a fenced one to its end.
func (r *cookbookReader) block(language string) error {
	begin := r.at
	for ; ; r.at++ {
		if r.at == len(r.lines) {
			return fmt.Errorf("a block without an end")
		}
		if r.lines[r.at] == "```" {
			break
		}
	}
	lines := r.lines[begin:r.at]
	r.at++
	switch {
	case language == "console":
		if r.file != "" {
			return fmt.Errorf("%s: is followed by a console", r.file)
		}
		typed, err := pageConsole(lines)
		if err != nil {
			return err
		}
		r.typed = append(r.typed, typed...)
	case r.file != "":
		if _, twice := r.files[r.file]; twice {
			return fmt.Errorf("%s is there twice", r.file)
		}
		r.files[r.file] = strings.Join(lines, "\n") + "\n"
		r.file = ""
	case !r.mark:
		return fmt.Errorf("a block that is neither a file, nor a console, nor marked as untested")
	}
	return nil
}

// claim is a row of the table of what is lost.
func (r *cookbookReader) claim(line string) error {
	var cells []string
	for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
		cells = append(cells, strings.TrimSpace(cell))
	}
	if len(cells) != 3 {
		return fmt.Errorf("%d columns, want 3: the section, new connections, kept connections", len(cells))
	}
	if cells[0] == "" || strings.HasPrefix(cells[0], "--") {
		return nil
	}
	for _, cell := range cells[1:] {
		if cell != "some" && strings.Trim(cell, "0123456789") != "" || cell == "" {
			return fmt.Errorf("%q is neither a number nor some", cell)
		}
	}
	r.page.lost[cells[0]] = cells[1:]
	return nil
}

// ends closes what stands under a heading.
func (r *cookbookReader) ends() error {
	p := r.page
	_, section := r.files["Dockerfile"]
	switch {
	case strings.HasPrefix(r.heading, "# "):
		p.untested = r.mark
	case r.mark && section:
		return fmt.Errorf("%q is marked as untested, and has a Dockerfile", r.heading)
	case r.mark:
		p.untried = append(p.untried, r.heading)
		r.typed = nil
	}
	if section {
		p.sections = append(p.sections, &cookbookSection{title: r.heading, files: r.files, typed: r.typed})
	} else {
		for name, content := range r.files {
			if _, twice := p.shared[name]; twice {
				return fmt.Errorf("%s is there twice", name)
			}
			p.shared[name] = content
		}
		p.typed = append(p.typed, r.typed...)
	}
	r.files, r.typed, r.text, r.mark = map[string]string{}, nil, false, false
	return nil
}

// check says what is missing, and gives the sections the files that they share: those
// under other headings, and what the first section has and they have not.
func (p *cookbookPage) check() error {
	if p.untested {
		if len(p.sections) > 0 || len(p.lost) > 0 {
			return fmt.Errorf("%s.md is marked as untested, and has a Dockerfile or a table of what is lost", p.name)
		}
		return nil
	}
	if len(p.sections) == 0 {
		return fmt.Errorf("%s.md has no section with a Dockerfile", p.name)
	}
	for _, s := range p.sections {
		for _, more := range []map[string]string{p.shared, p.sections[0].files} {
			for name, content := range more {
				if _, own := s.files[name]; !own {
					s.files[name] = content
				}
			}
		}
		if s.files["compose.yaml"] == "" {
			return fmt.Errorf("%s.md has no compose.yaml for %q", p.name, s.title)
		}
		if p.lost[s.title] == nil {
			return fmt.Errorf("%s.md does not say what is lost in %q", p.name, s.title)
		}
	}
	if len(p.lost) != len(p.sections) {
		return fmt.Errorf("%s.md has %d sections, and a table of what is lost with %d", p.name, len(p.sections), len(p.lost))
	}
	p.sections[0].typed = append(p.sections[0].typed, p.typed...)
	var all []pageCommand
	for _, s := range p.sections {
		all = append(all, s.typed...)
	}
	good := func(c pageCommand) bool {
		return strings.Contains(c.line, " swap") && !c.fails() && len(c.output) > 0
	}
	if !slices.ContainsFunc(all, good) || !slices.ContainsFunc(all, pageCommand.fails) {
		return fmt.Errorf("%s.md does not show a swap, and a swap that fails", p.name)
	}
	return nil
}

// fails: the output shows that the command ends with status 1.
func (c pageCommand) fails() bool {
	return slices.ContainsFunc(c.output, func(line string) bool { return strings.HasPrefix(line, "swapinit: swap failed: ") })
}

var (
	cookbookTime   = regexp.MustCompile(`\b\d+(\.\d+)?( ?(ms|s|m)\b|h\d+m\b)`)
	cookbookNumber = regexp.MustCompile(`\d+(\.\d+)?%?`)
)

// cookbookAlike is a line without its numbers, which differ from run to run.
func cookbookAlike(line string) string {
	line = cookbookNumber.ReplaceAllString(cookbookTime.ReplaceAllString(line, "T"), "N")
	return strings.Join(strings.Fields(line), " ")
}

// missing are the lines that a console shows and this output has not.
func (c pageCommand) missing(output string) (lines []string) {
	var got []string
	for line := range strings.Lines(output) {
		got = append(got, cookbookAlike(line))
	}
	for _, line := range c.output {
		if line != "" && line != "…" && !slices.Contains(got, cookbookAlike(line)) {
			lines = append(lines, line)
		}
	}
	return lines
}
