# SPDX-License-Identifier: Apache-2.0
# One fit of ranger on a rows file of dunectl bench; prints one JSON line. ranger has no limit of leaves.
#     Rscript ranger_forest.R IN TREES LEAVES DEPTH SQRT BOOTSTRAP THREADS
a <- commandArgs(TRUE)
if (!suppressWarnings(requireNamespace("ranger", quietly = TRUE))) {
  cat('{"who": "ranger", "skip": "the package ranger is not installed"}\n')
  quit()
}
v <- as.integer(a[2:7])
if (v[2] > 0) {
  cat('{"who": "ranger", "skip": "it cannot limit leaves"}\n')
  quit()
}
f <- file(a[1], "rb")
h <- readBin(f, "integer", 8, 4)[c(1, 3, 5, 7)]
n <- h[1] + h[2]
u32 <- function(x) { # R reads 2^31 as "not available"
  x <- as.numeric(x)
  x[is.na(x)] <- 2^31
  ifelse(x < 0, x + 2^32, x)
}
cols <- lapply(seq_len(h[3]), function(i) u32(readBin(f, "integer", n, 4)))
if (n %% 2 == 1 && h[3] %% 2 == 1) invisible(readBin(f, "integer", 1, 4))
w <- matrix(readBin(f, "integer", 2 * n, 4), 2)
w <- (u32(w[1, ]) + 2^32 * w[2, ]) / 2^24
cls <- factor(readBin(f, "integer", n, 2, signed = FALSE), levels = 0:(h[4] - 1))
d <- as.data.frame(cols, col.names = paste0("x", seq_len(h[3])))
train <- seq_len(h[1])
t0 <- proc.time()
m <- ranger::ranger(x = d[train, ], y = cls[train], num.trees = v[1], max.depth = v[3],
                    mtry = if (v[4] == 1) floor(sqrt(h[3])) else h[3], replace = v[5] == 1,
                    sample.fraction = 1, num.threads = v[6], seed = 1,
                    case.weights = if (all(w == 1)) NULL else w[train])
t1 <- proc.time() - t0
rss <- as.numeric(gsub("[^0-9]", "", grep("VmHWM", readLines("/proc/self/status"), value = TRUE))) / 1024
p <- predict(m, d[-train, ], num.threads = v[6])$predictions
y <- cls[-train]
wt <- w[-train]
f1 <- mean(sapply(levels(droplevels(y)), function(k)
  2 * sum(wt[y == k & p == k]) / (sum(wt[y == k]) + sum(wt[p == k]))))
cat(sprintf('{"who": "ranger", "wall": %.4f, "cpu": %.4f, "rss_mb": %.1f, "f1": %.4f}\n',
            t1[["elapsed"]], t1[["user.self"]] + t1[["sys.self"]], rss, f1))
