module leakscope/services/go

go 1.21
