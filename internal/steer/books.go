package steer

// member is one listening socket of a group. The group owns fd.
type member struct {
	fd    int
	inode uint64
	tag   uint8 // 0 until a generation gets it
}

// books is what the group knows of the kernel's side: which members there
// are, in which order, who has them, and where connections go. It makes no
// system call.
//
// The kernel's rules (net/core/sock_reuseport.c): listen(2) appends; a member
// that leaves is replaced by the last one; a program that answers with an
// index beyond the end is overruled by a hash over all members.
type books struct {
	order   []*member       // as the kernel has them
	lost    []*member       // not listening, because a process shut them down
	holders map[int]*member // by generation; two may have the same
	to      *member         // gets share/10000 of the connections
	rest    *member         // gets the others; the same as to when to gets all
	share   int
	guest   *member // gets those of the probe, if not nil
	probe   source
	lastTag uint8
}

// index is the member's in the kernel, -1 if it does not listen.
func (b *books) index(m *member) int {
	for i, other := range b.order {
		if other == m {
			return i
		}
	}
	return -1
}

func (b *books) append(m *member) { b.order = append(b.order, m) }

// remove does what the kernel does when m leaves.
func (b *books) remove(m *member) {
	if i := b.index(m); i >= 0 {
		last := len(b.order) - 1
		b.order[i] = b.order[last]
		b.order = b.order[:last]
	}
}

// lose notes that m listens no more.
func (b *books) lose(m *member) {
	b.remove(m)
	b.lost = append(b.lost, m)
}

// users counts the generations that have m.
func (b *books) users(m *member) (n int) {
	for _, held := range b.holders {
		if held == m {
			n++
		}
	}
	return n
}

func (b *books) aimed(m *member) bool { return m == b.to || m == b.rest }

// carrier is the member with most of the traffic.
func (b *books) carrier() *member {
	if b.share >= whole/2 {
		return b.to
	}
	return b.rest
}

// useless: nobody has it, and nothing goes there.
func (b *books) useless(m *member) bool {
	return b.users(m) == 0 && !b.aimed(m) && b.guest != m
}

// smooth tells whether m can leave without any connection going astray
// between that and the new program. The last member moves into the hole, so
// an index that meant it is beyond the end for that moment, and the kernel
// falls back to a hash over those that are left: harmless only if all of
// them are to get connections anyway.
func (b *books) smooth(m *member) bool {
	last := b.order[len(b.order)-1]
	if last == m || !b.aimed(last) && last != b.guest {
		return true
	}
	if last == b.guest && len(b.order) > 2 {
		return false
	}
	for _, other := range b.order {
		if other != m && !b.aimed(other) {
			return false
		}
	}
	return true
}

// spare is a member that no generation has had yet, nil if there is none.
func (b *books) spare() *member {
	for _, m := range b.order {
		if m.tag == 0 {
			return m
		}
	}
	return nil
}

// nextTag is the next one, going round, that no member has; 0 if there is
// none. It is used up by useTag.
func (b *books) nextTag() uint8 {
	tag := b.lastTag
	for range tagMax {
		if tag++; tag > tagMax {
			tag = 1
		}
		if tag != tagDefault && !b.tagged(tag) {
			return tag
		}
	}
	return 0
}

func (b *books) tagged(tag uint8) bool {
	for _, m := range b.all() {
		if m.tag == tag {
			return true
		}
	}
	return false
}

func (b *books) has(m *member) bool {
	for _, other := range b.all() {
		if other == m {
			return true
		}
	}
	return false
}

// all members, listening or not.
func (b *books) all() []*member {
	return append(append([]*member(nil), b.order...), b.lost...)
}

func (b *books) useTag(m *member, tag uint8) { m.tag, b.lastTag = tag, tag }

// part is what share of 1/10000 m gets.
func (b *books) part(m *member) int {
	switch {
	case b.to == b.rest && m == b.to:
		return whole
	case m == b.to:
		return b.share
	case m == b.rest:
		return whole - b.share
	}
	return 0
}

// program is the one that sends connections where the books say. What is to
// go to a member that does not listen goes to one that does.
func (b *books) program() program {
	to, rest := b.index(b.to), b.index(b.rest)
	if to < 0 {
		to = rest
	}
	if rest < 0 {
		rest = to
	}
	if to < 0 { // neither: any that is served
		to = 0
		for i, m := range b.order {
			if b.users(m) > 0 {
				to = i
				break
			}
		}
		rest = to
	}
	var p program
	if guest := b.index(b.guest); guest >= 0 {
		p.guest(b.probe, guest)
	}
	p.split(to, rest, b.share)
	return p
}
