package steer

import (
	"fmt"
	"slices"
	"testing"

	"github.com/swapinit/swapinit/internal/shares"
)

// newLayout makes one with members named by letters.
func newLayout(order string) (*layout, func(name byte) *member) {
	members := map[byte]*member{}
	named := func(name byte) *member {
		if name == '-' {
			return nil
		}
		if members[name] == nil {
			members[name] = &member{inode: uint64(name), tag: 100}
		}
		return members[name]
	}
	b := &layout{}
	b.share = shares.Full
	b.holders = map[int]*member{}
	for i := range order {
		b.append(named(order[i]))
		b.holders[i+1] = named(order[i])
	}
	return b, named
}

func (b *layout) text() (s string) {
	for _, m := range b.order {
		s += string(rune(m.inode))
	}
	return s
}

func TestTheLastMovesIntoTheHole(t *testing.T) {
	for _, c := range []struct{ order, leaves, left string }{
		{"a", "a", ""},
		{"ab", "a", "b"},
		{"ab", "b", "a"},
		{"abc", "a", "cb"},
		{"abc", "b", "ac"},
		{"abcd", "ab", "dc"},
		{"abcd", "dcb", "a"},
		{"abc", "x", "abc"},
	} {
		b, named := newLayout(c.order)
		for i := range c.leaves {
			b.remove(named(c.leaves[i]))
		}
		if b.text() != c.left {
			t.Errorf("%s without %s: %s, not %s", c.order, c.leaves, b.text(), c.left)
		}
	}
}

// Every order, aim and leaver: smooth must be true exactly if the old program,
// run on the new order, answers only with members that are to get that connection.
func TestSmooth(t *testing.T) {
	const order = "abcd"
	for size := 2; size <= len(order); size++ {
		for to := range size {
			for rest := range size {
				for single := -1; single < size*size; single++ { // the probe's and the check's
					for leaver := range size {
						b, named := newLayout(order[:size])
						b.to, b.rest = named(order[to]), named(order[rest])
						if single >= 0 {
							b.probed, b.checked = named(order[single%size]), named(order[single/size])
						}
						m := named(order[leaver])
						if b.aimed(m) || b.singled(m) {
							continue
						}
						want := safe(b, m)
						if got := b.smooth(m); got && !want {
							t.Errorf("%s to %c rest %c single %d: %c may leave, but something goes to the wrong one", order[:size], order[to], order[rest], single, order[leaver])
						} else if !got && want && single < 0 {
							t.Errorf("%s to %c rest %c: %c may not leave, but nothing would go to the wrong one", order[:size], order[to], order[rest], order[leaver])
						}
					}
				}
			}
		}
	}
}

// safe works out what smooth is to tell, from the kernel's rules.
func safe(b *layout, leaver *member) bool {
	after := slices.Clone(b.order)
	i := slices.Index(after, leaver)
	after[i] = after[len(after)-1]
	after = after[:len(after)-1]
	for _, target := range []struct {
		m  *member
		ok []*member
	}{
		{b.to, []*member{b.to, b.rest}},
		{b.rest, []*member{b.to, b.rest}},
		{b.probed, []*member{b.probed}},
		{b.checked, []*member{b.checked}},
	} {
		if target.m == nil {
			continue
		}
		old := b.index(target.m)
		reached := after // the hash
		if old < len(after) {
			reached = after[old : old+1]
			if reached[0] == target.m {
				continue
			}
		}
		for _, m := range reached {
			if !slices.Contains(target.ok, m) {
				return false
			}
		}
	}
	return true
}

func TestTagsGoRound(t *testing.T) {
	b, named := newLayout("ab")
	b.useTag(named('a'), tagFirst)
	var seen []uint8
	for range 30 {
		tag := b.nextTag()
		if tag == 0 || tag == tagDefault || tag > tagMax || tag == tagFirst {
			t.Fatalf("tag %d", tag)
		}
		b.useTag(named('b'), tag)
		seen = append(seen, tag)
	}
	if fmt.Sprint(seen[:14]) != "[2 3 4 5 6 7 8 9 10 11 13 14 15 2]" {
		t.Errorf("%v", seen)
	}
	b, named = newLayout("abcdefghijklmn")
	for i := byte('a'); i <= 'n'; i++ {
		b.useTag(named(i), b.nextTag())
	}
	if tag := b.nextTag(); tag != 0 {
		t.Errorf("tag %d is free, though all are used", tag)
	}
	b.lose(named('c'))
	if tag := b.nextTag(); tag != 0 {
		t.Errorf("tag %d is free, though a member that is to come back has it", tag)
	}
}

func TestParts(t *testing.T) {
	b, named := newLayout("abc")
	b.to, b.rest, b.share = named('b'), named('a'), 100
	for name, want := range map[byte]int{'a': 9900, 'b': 100, 'c': 0} {
		if got := b.part(named(name)); got != want {
			t.Errorf("%c has %d, not %d", name, got, want)
		}
	}
	if b.busiest() != named('a') {
		t.Error("the busiest is not the one with most of it")
	}
	b.share = 7500
	if b.busiest() != named('b') {
		t.Error("the busiest is not the one with most of it")
	}
	b.to, b.rest, b.share = named('c'), named('c'), shares.Full
	if got := b.part(named('c')); got != shares.Full {
		t.Errorf("all is %d", got)
	}
}
