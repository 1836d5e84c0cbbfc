package arbiter

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// A schedule that breaks a rule is long, and most of it has nothing to do with the
// fault. What is left out of it without the fault's going away is not needed.

// rule is an error without its figures.
func rule(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if _, after, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(text, "at ") {
		text = after
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, strings.Join(strings.SplitN(text, ": ", 3)[:min(2, strings.Count(text, ": ")+1)], ": "))
}

// replay gives a new arbiter what another one got, up to the error.
func (r *rig) replay(record []moment) (*rig, error) {
	n := newRig()
	n.fault = r.fault
	for _, m := range record {
		n.now = max(n.now, m.at)
		if m.crash != nil {
			n.restart(*m.crash)
		} else if _, err := n.step(m.event); err != nil {
			return n, err
		}
	}
	return n, nil
}

// shortest is a short part of what has happened that ends in the same error; nil if a
// replay does not end in it, as only the world has seen it.
func (r *rig) shortest(err error) []moment {
	best := r.record
	if _, again := r.replay(best); rule(again) != rule(err) {
		return nil
	}
	for size := len(best) / 2; size > 0; {
		before := len(best)
		for i := 0; i+size <= len(best); {
			try := slices.Delete(slices.Clone(best), i, i+size)
			if _, again := r.replay(try); rule(again) == rule(err) {
				best = try
			} else {
				i += size
			}
		}
		if size > 1 || len(best) == before {
			size /= 2
		}
	}
	return best
}

// shrink writes the shortest part, or the end of all of it, with what came out.
func (r *rig) shrink(err error) string {
	if short := r.shortest(err); short != nil {
		return r.write(short)
	}
	lines := strings.Split(r.write(r.record), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool {
		return strings.Contains(l, "  ping") || strings.Contains(l, " alive ") || strings.HasSuffix(l, " tick")
	})
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

func (r *rig) write(record []moment) string {
	var out strings.Builder
	n := newRig()
	n.fault = r.fault
	names := map[Session]string{}
	for _, m := range record {
		n.now = max(n.now, m.at)
		if m.crash != nil {
			fmt.Fprintf(&out, "at %v crash %+v\n", m.at, *m.crash)
			n.restart(*m.crash)
			continue
		}
		if j, ok := m.event.(*Join); ok {
			names[j.Session] = j.Member
		}
		fmt.Fprintf(&out, "at %v %s\n", m.at, describe(m.event, names))
		effects, err := n.step(m.event)
		for _, e := range effects {
			fmt.Fprintf(&out, "  %s\n", describe(e, names))
		}
		if err != nil {
			fmt.Fprintf(&out, "  => %v\n", err)
		}
	}
	return out.String()
}
