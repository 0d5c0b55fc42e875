package spool

import "syscall"

// corruptFileSystem is how a file system says that its own data contradict
// themselves, or do not fit their checksum.
var corruptFileSystem = []error{syscall.EUCLEAN, syscall.EBADMSG}
