package steer

import (
	"slices"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/shares"
)

// layout is what the group knows of the kernel's side: which members there
// are, in which order, who has them, and where connections go. It makes no
// system call.
type layout struct {
	holding
	order   []*member      // as the kernel has them
	lost    []*member      // not listening, because a process shut them down
	anchor  *member        // a guarded group's own; nil in another one, or for a moment
	probed  *member        // gets those of the probe, if not nil
	source  netip.AddrPort // of the probe
	checked *member        // gets those to CheckAddr, if not nil
	lastTag uint8
}

// index is the member's in the kernel, -1 if it does not listen.
func (l *layout) index(m *member) int { return slices.Index(l.order, m) }

func (l *layout) append(m *member) { l.order = append(l.order, m) }

// remove does what the kernel does when m leaves.
func (l *layout) remove(m *member) {
	if i := l.index(m); i >= 0 {
		last := len(l.order) - 1
		l.order[i] = l.order[last]
		l.order = l.order[:last]
	}
}

// lose notes that m listens no more.
func (l *layout) lose(m *member) {
	l.remove(m)
	l.lost = append(l.lost, m)
}

// busiest is the member with most of the traffic.
func (l *layout) busiest() *member {
	if l.share < shares.Full/2 {
		return l.rest
	}
	return l.to
}

// singled reports whether some connections go to m by where they are from, or to.
func (l *layout) singled(m *member) bool { return m == l.probed || m == l.checked }

// useless: nobody has it, and nothing goes there.
func (l *layout) useless(m *member) bool {
	return l.users(m) == 0 && !l.aimed(m) && !l.singled(m) && l.anchor != m
}

// smooth tells whether m can leave without any connection going to the wrong one
// between that and the new program. The last member moves into the hole, so
// an index that meant it is beyond the end for that moment, and the kernel
// falls back to a hash over those that are left: harmless only if all of
// them are to get connections anyway, whoever makes them.
func (l *layout) smooth(m *member) bool {
	last := l.order[len(l.order)-1]
	if last == m || !l.aimed(last) && !l.singled(last) {
		return true
	}
	if l.singled(last) && len(l.order) > 2 {
		return false
	}
	return l.by == shares.Random && !slices.ContainsFunc(l.order, func(other *member) bool { return other != m && !l.aimed(other) })
}

// spare is a member that no generation has had yet, nil if there is none.
func (l *layout) spare() *member {
	if i := slices.IndexFunc(l.order, func(m *member) bool { return m.tag == 0 && m != l.anchor }); i >= 0 {
		return l.order[i]
	}
	return nil
}

// nextTag is the next one, going round, that no member has; 0 if there is
// none. It is used up by useTag.
func (l *layout) nextTag() uint8 {
	tag := l.lastTag
	for range tagMax {
		if tag++; tag > tagMax {
			tag = 1
		}
		if tag != tagDefault && !l.tagged(tag) {
			return tag
		}
	}
	return 0
}

func (l *layout) tagged(tag uint8) bool {
	return slices.ContainsFunc(l.all(), func(m *member) bool { return m.tag == tag })
}

// all members, listening or not.
func (l *layout) all() []*member {
	return slices.Concat(l.order, l.lost)
}

func (l *layout) useTag(m *member, tag uint8) { m.tag, l.lastTag = tag, tag }

// program is the one that sends connections where the layout says. What is to
// go to a member that does not listen goes to one that does.
func (l *layout) program() program {
	to, rest := l.index(l.to), l.index(l.rest)
	if to < 0 {
		to = rest
	}
	if rest < 0 {
		rest = to
	}
	if to < 0 { // neither: any that is served
		to = max(0, slices.IndexFunc(l.order, func(m *member) bool { return l.users(m) > 0 }))
		rest = to
	}
	var p program
	if probed := l.index(l.probed); probed >= 0 {
		p.match(l.source, probed)
	}
	if checked := l.index(l.checked); checked >= 0 {
		p.matchCheck(checked)
	}
	p.split(to, rest, l.share, l.by)
	return p
}
