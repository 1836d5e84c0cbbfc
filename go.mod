module github.com/swapinit/swapinit

go 1.26.0

require (
	github.com/caarlos0/env/v11 v11.4.2
	github.com/fatih/color v1.19.0
	github.com/ramr/go-reaper v0.3.1
	github.com/rogpeppe/go-internal v1.16.0
	github.com/valyala/fastjson v1.6.10
	golang.org/x/sys v0.49.0
)

require (
	github.com/mattn/go-colorable v0.1.14 // indirect
	github.com/mattn/go-isatty v0.0.20 // indirect
	golang.org/x/tools v0.26.0 // indirect
)
