/** As of a program that SIGPIPE ended. */
const readerGone = 141

/** A reader that goes away (`| head -1`) ends the program without a word: nobody would read it. */
export function endWithReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      process.exit(readerGone)
    })
  }
}
