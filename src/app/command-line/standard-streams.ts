/** The exit code of a program that SIGPIPE ended. */
const readerGone = 141

/** Ends the program without a word when the reader of its output goes away (`| head -1`). */
export function endWithReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      process.exit(readerGone)
    })
  }
}
