complete --keep-order --exclusive --command ipcx --arguments "(IPCX_COMPLETE=fish ipcx -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
