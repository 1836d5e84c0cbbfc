package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// status is what is read of status, see docs/control.md.
type status struct {
	Ready       bool         `json:"ready"`
	Generations []generation `json:"generations"`
	Swap        *struct {
		Generation int     `json:"generation"`
		Stage      string  `json:"stage"`
		Share      float64 `json:"share"`
	} `json:"swap"`
	Totals struct {
		SwapsOK     int64 `json:"swaps_ok"`
		SwapsFailed int64 `json:"swaps_failed"`
	} `json:"totals"`
	Joined *struct {
		Role   string `json:"role"`
		AwayMS *int64 `json:"away_ms"`
	} `json:"joined"`
	Gate *struct {
		Holder  string       `json:"holder"`
		Members []gateMember `json:"members"`
	} `json:"gate"`
}

type generation struct {
	Generation int    `json:"generation"`
	State      string `json:"state"`
	Pids       []int  `json:"pids"`
	Kept       bool   `json:"kept"`
	Workers    []struct {
		Pid      int  `json:"pid"`
		Ready    bool `json:"ready"`
		Restarts int  `json:"restarts"`
	} `json:"workers"`
}

type gateMember struct {
	Container string `json:"container"`
	State     string `json:"state"`
	Connected bool   `json:"connected"`
}

func (b *box) status() (*status, error) {
	r, err := b.asks("status", nil)
	if err == nil && r.Status == nil {
		err = fmt.Errorf("status at %s: %s", b.name, r.Error)
	}
	return r.Status, err
}

// swaps has those that were made since it was called last counted.
func (b *box) swaps(t *totals) error {
	s, err := b.status()
	if err != nil {
		return err
	}
	t.swapped(s.Totals.SwapsOK-b.ok, s.Totals.SwapsFailed-b.failed)
	b.ok, b.failed = s.Totals.SwapsOK, s.Totals.SwapsFailed
	return nil
}

// of is a generation, nil when it is gone.
func (s *status) of(n int) *generation {
	i := slices.IndexFunc(s.Generations, func(g generation) bool { return g.Generation == n })
	if i < 0 {
		return nil
	}
	return &s.Generations[i]
}

// newest is the highest number of a generation that is there.
func (s *status) newest() (n int) {
	for _, g := range s.Generations {
		n = max(n, g.Generation)
	}
	return n
}

// active is the number of the active generation.
func (s *status) active() (int, error) {
	n := 0
	for _, g := range s.Generations {
		if g.State != "active" {
			continue
		}
		if n != 0 {
			return 0, fmt.Errorf("two generations are active: %v", s)
		}
		n = g.Generation
	}
	if n == 0 {
		return 0, fmt.Errorf("no generation is active: %v", s)
	}
	return n, nil
}

// member is the state of a member at the gate, "" when it is not known.
func (s *status) member(name string) string {
	for _, m := range s.Gate.Members {
		if m.Container == name {
			return m.State
		}
	}
	return ""
}

func (s *status) String() string {
	var all []string
	for _, g := range s.Generations {
		all = append(all, fmt.Sprintf("%d:%s", g.Generation, g.State))
	}
	if s.Gate != nil {
		for _, m := range s.Gate.Members {
			all = append(all, m.Container+":"+m.State)
		}
	}
	return strings.Join(all, " ")
}

// await polls until the status is as wanted.
func (b *box) await(what string, want func(*status) bool) error {
	var last *status
	err := poll(b.ctx, what, func() (bool, error) {
		s, err := b.status()
		if err != nil {
			if b.ended() {
				return false, errors.Join(fmt.Errorf("%s has ended, status %#x", b.name, uint32(b.Status())), err)
			}
			return false, err
		}
		last = s
		return want(s), nil
	})
	if err != nil {
		return fmt.Errorf("%s: %s: %w; it has %v", b.name, what, err, last)
	}
	return nil
}
