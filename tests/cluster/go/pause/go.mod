module hub-ext.example/cluster/pause

go 1.24.0
