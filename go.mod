module github.com/swapinit/swapinit

go 1.26.0

require (
	github.com/ramr/go-reaper v0.3.1
	golang.org/x/sys v0.49.0
)
