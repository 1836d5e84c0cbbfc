// A server that binds two ports for itself, each when its predecessor has given
// it up: what ServerSwap calls readyFor and onTakedown.
const http = require('http')
const fs = require('fs')

const ports = [9001, 9002]
const servers = new Map()
const say = text => fs.writeSync(1, `gen ${process.env.SWAPINIT_GENERATION}: ${text}\n`)

process.on('message', ({ swapinit, resource }) => {
  if (swapinit === 'go') {
    say(`go ${resource}`)
    const server = http.createServer((request, response) => response.end(`generation ${process.env.SWAPINIT_GENERATION}\n`))
    server.listen(Number(resource.slice(1)), '127.0.0.1', () => {
      say(`bound ${resource}`)
      servers.set(resource, server)
      if (servers.size === ports.length) process.send('ready')
    })
  }
  if (swapinit === 'takedown') {
    say(`takedown ${resource}`)
    servers.get(resource).close(() => process.send({ swapinit: 'released', resource }))
  }
})
process.once('SIGTERM', () => process.exit(0))
for (const port of ports) process.send({ swapinit: 'readyFor', resource: `:${port}` })
