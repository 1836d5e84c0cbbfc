'use strict';
// / tells the pid, /slow takes two seconds.
const fs = require('node:fs');
const http = require('node:http');

const server = http.createServer((request, response) => {
  const answer = () => response.end(`${process.pid}\n`);
  if (request.url === '/slow') setTimeout(answer, 2000);
  else answer();
});

// Under swapinit the socket is fd 3, elsewhere a port of our own.
server.listen(process.env.LISTEN_FDS ? { fd: 3 } : 3000, () => {
  const fd = Number(process.env.SWAPINIT_READY_FD);
  if (fd) {
    fs.writeSync(fd, 'ready\n');
    fs.closeSync(fd);
  }
});

process.on('SIGTERM', () => {
  // Takes no more connections and ends when the last one is answered.
  server.close(() => process.exit(0));
});
