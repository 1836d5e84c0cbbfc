//go:build !race

package reaper

const raceEnabled = false
