//go:build unix

package configdrive

import "syscall"

const nonBlocking = syscall.O_NONBLOCK
